// SPDX-License-Identifier: BSD-3-Clause
#include <stdint.h>
#define COUNT 512

struct record {
    uint64_t id;
    uint32_t flags;
    uint16_t kind;
    uint8_t level;
    uint8_t name[33];
    uint64_t blocks[8];
};
static struct record first[COUNT], second[COUNT];

void setup(void)
{
    for (uint64_t i = 0; i < COUNT; i++) {
        struct record *r = &first[i];
        r->id = i;
        r->flags = (uint32_t)(i * 3);
        r->kind = (uint16_t)i;
        r->level = 0;
        for (uint64_t k = 0; k < 33; k++)
            r->name[k] = (uint8_t)(i + k);
        for (uint64_t k = 0; k < 8; k++)
            r->blocks[k] = i * k;
    }
}

uint64_t run(uint64_t rounds)
{
    uint64_t total = 0;
    for (uint64_t n = 0; n < rounds; n++) {
        for (uint64_t i = 0; i < COUNT; i++) {
            second[(i * 5) % COUNT] = first[i];
            second[(i * 5) % COUNT].blocks[n % 8] = n + i;
        }
        for (uint64_t i = 0; i < COUNT; i++) {
            first[i] = second[i];
            total = total * 3 + first[i].blocks[i % 8] + first[i].name[n % 33];
        }
    }
    return total;
}
