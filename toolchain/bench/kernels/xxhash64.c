// SPDX-License-Identifier: BSD-3-Clause
#include <stddef.h>
#include <stdint.h>
#define SIZE 16384
static const uint64_t P1 = 0x9E3779B185EBCA87u, P2 = 0xC2B2AE3D27D4EB4Fu,
    P3 = 0x165667B19E3779F9u, P4 = 0x85EBCA77C2B2AE63u, P5 = 0x27D4EB2F165667C5u;

static uint8_t data[SIZE];

void setup(void)
{
    uint64_t x = 1;
    for (size_t i = 0; i < SIZE; i++) {
        x = x * 6364136223846793005u + 1442695040888963407u;
        data[i] = (uint8_t)(x >> 56);
    }
}

static uint64_t rotl(uint64_t x, int n) { return x << n | x >> (64 - n); }

static uint64_t get64(const uint8_t *b)
{
    return (uint64_t)b[0] | (uint64_t)b[1] << 8 | (uint64_t)b[2] << 16 | (uint64_t)b[3] << 24 |
        (uint64_t)b[4] << 32 | (uint64_t)b[5] << 40 | (uint64_t)b[6] << 48 | (uint64_t)b[7] << 56;
}

static uint32_t get32(const uint8_t *b)
{
    return (uint32_t)b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
}

static uint64_t step(uint64_t acc, uint64_t word) { return rotl(acc + word * P2, 31) * P1; }

static uint64_t merge(uint64_t acc, uint64_t value) { return (acc ^ step(0, value)) * P1 + P4; }

static uint64_t xxhash64(const uint8_t *s, size_t n, uint64_t seed)
{
    const uint8_t *end = s + n;
    uint64_t h;
    if (n >= 32) {
        uint64_t v1 = seed + P1 + P2, v2 = seed + P2, v3 = seed, v4 = seed - P1;
        while (end - s >= 32) {
            v1 = step(v1, get64(s));
            v2 = step(v2, get64(s + 8));
            v3 = step(v3, get64(s + 16));
            v4 = step(v4, get64(s + 24));
            s += 32;
        }
        h = rotl(v1, 1) + rotl(v2, 7) + rotl(v3, 12) + rotl(v4, 18);
        h = merge(merge(merge(merge(h, v1), v2), v3), v4);
    } else {
        h = seed + P5;
    }
    h += n;
    while (end - s >= 8) {
        h = rotl(h ^ step(0, get64(s)), 27) * P1 + P4;
        s += 8;
    }
    if (end - s >= 4) {
        h = rotl(h ^ get32(s) * P1, 23) * P2 + P3;
        s += 4;
    }
    for (; s != end; s++)
        h = rotl(h ^ *s * P5, 11) * P1;
    h = (h ^ h >> 33) * P2;
    h = (h ^ h >> 29) * P3;
    return h ^ h >> 32;
}

uint64_t run(uint64_t rounds)
{
    uint64_t h = 0;
    for (uint64_t i = 0; i < rounds; i++)
        h ^= xxhash64(data, SIZE - (i & 31), h);
    return h;
}
