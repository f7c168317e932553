// SPDX-License-Identifier: BSD-3-Clause
#include <stdint.h>
#define WORDS 1024
#define NONE UINT64_MAX

static uint64_t words[WORDS];

void setup(void)
{
    for (uint64_t i = 0; i < WORDS; i++)
        words[i] = i % 7 != 0 ? 0xFFFFFFFFFFFFFFFFu : 0xFFFF0FFFFFFFFFFFu;
}

static uint64_t find_zero(const uint64_t *w, uint64_t n, uint64_t start)
{
    for (uint64_t i = start / 64; i < n; i++)
        if (w[i] != 0xFFFFFFFFFFFFFFFFu)
            return i * 64 + (uint64_t)__builtin_ctzll(~w[i]);
    return NONE;
}

static void set_bit(uint64_t *w, uint64_t at) { w[at / 64] |= (uint64_t)1 << (at % 64); }
static void clear_bit(uint64_t *w, uint64_t at) { w[at / 64] &= ~((uint64_t)1 << (at % 64)); }

uint64_t run(uint64_t rounds)
{
    uint64_t total = 0;
    for (uint64_t n = 0; n < rounds; n++) {
        uint64_t hint = 0;
        for (;;) {
            uint64_t at = find_zero(words, WORDS, hint);
            if (at == NONE)
                break;
            set_bit(words, at);
            total += at;
            hint = at;
        }
        for (uint64_t i = 0; i < WORDS; i += 7)
            for (uint64_t b = 44; b < 48; b++)
                clear_bit(words, i * 64 + b);
    }
    return total;
}
