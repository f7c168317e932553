// SPDX-License-Identifier: BSD-3-Clause
#include <stdint.h>
#include <string.h>
#define BLOCKS 64

static uint32_t K[64];
static uint8_t data[BLOCKS * 64];
static uint32_t state[8];

/* The first 32 bits of the fractional part of the cube root of p. */
static uint32_t constant(uint64_t p)
{
    unsigned __int128 low = 0, target = (unsigned __int128)p << 96;
    for (int bit = 40; bit >= 0; bit--) {
        unsigned __int128 x = low + ((unsigned __int128)1 << bit);
        if (x * x <= target / x)
            low = x;
    }
    return (uint32_t)low;
}

void setup(void)
{
    int n = 0;
    for (uint64_t p = 2; n < 64; p++) {
        int prime = 1;
        for (uint64_t d = 2; d < p; d++)
            prime &= p % d != 0;
        if (prime)
            K[n++] = constant(p);
    }
    uint64_t x = 1;
    for (int i = 0; i < BLOCKS * 64; i++) {
        x = x * 6364136223846793005u + 1442695040888963407u;
        data[i] = (uint8_t)(x >> 56);
    }
}

static uint32_t rotr(uint32_t x, int n) { return x >> n | x << (32 - n); }

static void block(uint32_t *h, const uint8_t *p)
{
    uint32_t w[64];
    for (int i = 0; i < 16; i++, p += 4)
        w[i] = (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
    for (int i = 16; i < 64; i++) {
        uint32_t s0 = rotr(w[i - 15], 7) ^ rotr(w[i - 15], 18) ^ w[i - 15] >> 3;
        uint32_t s1 = rotr(w[i - 2], 17) ^ rotr(w[i - 2], 19) ^ w[i - 2] >> 10;
        w[i] = w[i - 16] + s0 + w[i - 7] + s1;
    }
    uint32_t a = h[0], b = h[1], c = h[2], d = h[3], e = h[4], f = h[5], g = h[6], k = h[7];
    for (int i = 0; i < 64; i++) {
        uint32_t s1 = rotr(e, 6) ^ rotr(e, 11) ^ rotr(e, 25);
        uint32_t t1 = k + s1 + ((e & f) ^ (~e & g)) + K[i] + w[i];
        uint32_t s0 = rotr(a, 2) ^ rotr(a, 13) ^ rotr(a, 22);
        uint32_t t2 = s0 + ((a & b) ^ (a & c) ^ (b & c));
        k = g;
        g = f;
        f = e;
        e = d + t1;
        d = c;
        c = b;
        b = a;
        a = t1 + t2;
    }
    h[0] += a;
    h[1] += b;
    h[2] += c;
    h[3] += d;
    h[4] += e;
    h[5] += f;
    h[6] += g;
    h[7] += k;
}

uint64_t run(uint64_t rounds)
{
    static const uint32_t initial[8] = {
        0x6A09E667, 0xBB67AE85, 0x3C6EF372, 0xA54FF53A,
        0x510E527F, 0x9B05688C, 0x1F83D9AB, 0x5BE0CD19};
    memcpy(state, initial, sizeof state);
    for (uint64_t n = 0; n < rounds; n++)
        for (int i = 0; i < BLOCKS; i++)
            block(state, data + i * 64);
    return (uint64_t)state[0] << 32 | state[7];
}
