// SPDX-License-Identifier: BSD-3-Clause
#include <stddef.h>
#include <stdint.h>
#define SIZE 16384

static uint32_t table[256];
static uint8_t data[SIZE];

void setup(void)
{
    for (uint32_t n = 0; n < 256; n++) {
        uint32_t c = n;
        for (int k = 0; k < 8; k++)
            c = (c >> 1) ^ (c & 1 ? 0x82F63B78u : 0);
        table[n] = c;
    }
    uint64_t x = 1;
    for (size_t i = 0; i < SIZE; i++) {
        x = x * 6364136223846793005u + 1442695040888963407u;
        data[i] = (uint8_t)(x >> 56);
    }
}

static uint32_t crc32c(uint32_t crc, const uint8_t *s, size_t n)
{
    crc = ~crc;
    for (size_t i = 0; i < n; i++)
        crc = table[(crc ^ s[i]) & 0xFF] ^ (crc >> 8);
    return ~crc;
}

uint64_t run(uint64_t rounds)
{
    uint32_t crc = 0;
    for (uint64_t i = 0; i < rounds; i++)
        crc = crc32c(crc, data, SIZE);
    return crc;
}
