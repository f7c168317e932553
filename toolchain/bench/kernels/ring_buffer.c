// SPDX-License-Identifier: BSD-3-Clause
#include <stdbool.h>
#include <stdint.h>
#define SIZE 256

struct message { uint32_t kind, length; uint64_t payload; };
struct ring { struct message slots[SIZE]; uint32_t head, tail; };
static struct ring ring;

static bool put(struct ring *r, uint32_t kind, uint64_t payload)
{
    if (r->head - r->tail == SIZE)
        return false;
    struct message *m = &r->slots[r->head % SIZE];
    m->kind = kind;
    m->length = kind & 63;
    m->payload = payload;
    r->head++;
    return true;
}

static bool get(struct ring *r, struct message *to)
{
    if (r->head == r->tail)
        return false;
    struct message *m = &r->slots[r->tail % SIZE];
    to->kind = m->kind;
    to->length = m->length;
    to->payload = m->payload;
    r->tail++;
    return true;
}

void setup(void)
{
    ring.head = ring.tail = 0xFFFFFF00u;
}

uint64_t run(uint64_t rounds)
{
    uint64_t total = 0, seed = 1;
    struct message m = {0};
    for (uint64_t n = 0; n < rounds; n++) {
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        uint64_t burst = seed >> 56;
        for (uint64_t i = 0; i < burst; i++)
            if (!put(&ring, (uint32_t)i, seed ^ i))
                break;
        while (get(&ring, &m))
            total = total * 3 + m.payload + m.length;
    }
    return total;
}
