// SPDX-License-Identifier: BSD-3-Clause
#include <stddef.h>
#include <stdint.h>
#define COUNT 8192
#define DEPTH 64

static uint32_t source[COUNT], work[COUNT];

void setup(void)
{
    uint64_t x = 1;
    for (size_t i = 0; i < COUNT; i++) {
        x = x * 6364136223846793005u + 1442695040888963407u;
        source[i] = (uint32_t)(x >> 32);
    }
}

static void insertion(uint32_t *s, uint64_t n)
{
    for (uint64_t i = 1; i < n; i++) {
        uint32_t x = s[i];
        uint64_t j = i;
        while (j > 0 && s[j - 1] > x) {
            s[j] = s[j - 1];
            j--;
        }
        s[j] = x;
    }
}

static void sort(uint32_t *s, uint64_t n)
{
    uint64_t low[DEPTH] = {0}, high[DEPTH] = {0}, top = 1;
    high[0] = n;
    while (top != 0) {
        top--;
        uint64_t lo = low[top], hi = high[top];
        while (hi - lo > 16) {
            uint32_t pivot = s[lo + (hi - lo) / 2];
            uint64_t i = lo, j = hi - 1;
            for (;;) {
                while (s[i] < pivot)
                    i++;
                while (s[j] > pivot)
                    j--;
                if (i >= j)
                    break;
                uint32_t x = s[i];
                s[i] = s[j];
                s[j] = x;
                i++;
                j--;
            }
            low[top] = j + 1;
            high[top] = hi;
            top++;
            hi = j + 1;
        }
        insertion(s + lo, hi - lo);
    }
}

uint64_t run(uint64_t rounds)
{
    uint64_t total = 0;
    for (uint64_t n = 0; n < rounds; n++) {
        for (size_t i = 0; i < COUNT; i++)
            work[i] = source[i];
        sort(work, COUNT);
        for (size_t i = 1; i < COUNT; i++)
            if (work[i - 1] > work[i])
                __builtin_trap();
        total = total * 31 + work[COUNT / 3];
    }
    return total;
}
