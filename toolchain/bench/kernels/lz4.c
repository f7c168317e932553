// SPDX-License-Identifier: BSD-3-Clause
#include <stdint.h>
#include <string.h>
#define SIZE 65536
#define BOUND 70000

static uint8_t plain[SIZE], packed[BOUND], output[SIZE];
static uint32_t hashes[4096];
static uint64_t packed_size;

static uint32_t word_at(const uint8_t *s, uint64_t i)
{
    return (uint32_t)s[i] | (uint32_t)s[i + 1] << 8 | (uint32_t)s[i + 2] << 16 |
        (uint32_t)s[i + 3] << 24;
}

static uint64_t put_length(uint64_t n, uint64_t at)
{
    for (; n >= 255; n -= 255)
        packed[at++] = 255;
    packed[at++] = (uint8_t)n;
    return at;
}

static uint64_t emit(uint64_t literal, uint64_t end, uint64_t offset, uint64_t match, uint64_t at)
{
    uint64_t count = end - literal, token = at++;
    if (count >= 15)
        at = put_length(count - 15, at);
    for (uint64_t i = literal; i < end; i++)
        packed[at++] = plain[i];
    uint64_t high = count < 15 ? count : 15, low = 0;
    if (offset != 0) {
        packed[at] = (uint8_t)offset;
        packed[at + 1] = (uint8_t)(offset >> 8);
        at += 2;
        low = match - 4 < 15 ? match - 4 : 15;
        if (low == 15)
            at = put_length(match - 4 - 15, at);
    }
    packed[token] = (uint8_t)(high << 4 | low);
    return at;
}

static uint64_t compress(void)
{
    uint64_t at = 0, literal = 0, i = 0;
    while (i + 12 < SIZE) {
        uint32_t word = word_at(plain, i);
        uint32_t slot = word * 2654435761u >> 20;
        uint64_t candidate = hashes[slot];
        hashes[slot] = (uint32_t)(i + 1);
        if (candidate != 0 && i + 1 - candidate < 65536 && word_at(plain, candidate - 1) == word) {
            uint64_t start = candidate - 1, length = 4;
            while (i + length + 5 < SIZE && plain[start + length] == plain[i + length])
                length++;
            at = emit(literal, i, i - start, length, at);
            i += length;
            literal = i;
        } else {
            i++;
        }
    }
    return emit(literal, SIZE, 0, 0, at);
}

void setup(void)
{
    uint64_t x = 1;
    for (uint64_t i = 0; i < SIZE; i++) {
        if (i % 64 == 0)
            x = x * 6364136223846793005u + 1442695040888963407u;
        uint64_t n = (x >> (i % 48)) & 15;
        plain[i] = i % 61 < 40 || i < 128 ? (uint8_t)(97 + n) : plain[i - 101];
    }
    memset(hashes, 0, sizeof hashes);
    packed_size = compress();
}

static uint64_t decompress(const uint8_t *src, uint64_t size, uint8_t *dst)
{
    uint64_t i = 0, o = 0;
    while (i < size) {
        uint8_t token = src[i++], more;
        uint64_t count = token >> 4;
        if (count == 15) {
            do {
                more = src[i++];
                count += more;
            } while (more == 255);
        }
        memmove(dst + o, src + i, count);
        i += count;
        o += count;
        if (i >= size)
            break;
        uint64_t offset = (uint64_t)src[i] | (uint64_t)src[i + 1] << 8;
        i += 2;
        uint64_t match = token & 15;
        if (match == 15) {
            do {
                more = src[i++];
                match += more;
            } while (more == 255);
        }
        match += 4;
        uint64_t start = o - offset;
        for (uint64_t k = 0; k < match; k++)
            dst[o + k] = dst[start + k];
        o += match;
    }
    return o;
}

uint64_t run(uint64_t rounds)
{
    uint64_t total = 0;
    for (uint64_t n = 0; n < rounds; n++) {
        if (decompress(packed, packed_size, output) != SIZE)
            __builtin_trap();
        total = total * 31 + packed_size + output[SIZE / 2 + 5];
    }
    if (memcmp(output, plain, SIZE) != 0)
        __builtin_trap();
    return total;
}
