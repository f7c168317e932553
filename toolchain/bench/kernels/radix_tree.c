// SPDX-License-Identifier: BSD-3-Clause
#include <stddef.h>
#include <stdint.h>
#define POOL 16384
#define KEYS 2048

struct node { struct node *slots[16]; uint64_t value; };
static struct node pool[POOL];
static uint64_t used;
static struct node *root;

static uint32_t key_of(uint64_t i)
{
    return (uint32_t)(i * 2654435761u >> 3);
}

static struct node *new_node(void)
{
    struct node *node = &pool[used];
    used++;
    for (int i = 0; i < 16; i++)
        node->slots[i] = NULL;
    node->value = 0;
    return node;
}

static struct node *top(void)
{
    if (root != NULL)
        return root;
    return root = new_node();
}

static void store(uint32_t key, uint64_t value)
{
    struct node *p = top();
    for (uint32_t shift = 32; shift != 0;) {
        shift -= 4;
        uint32_t at = (key >> shift) & 15;
        if (p->slots[at] == NULL)
            p->slots[at] = new_node();
        p = p->slots[at];
    }
    p->value = value;
}

static uint64_t find(uint32_t key)
{
    struct node *p = root;
    uint32_t shift = 32;
    while (p != NULL && shift != 0) {
        shift -= 4;
        p = p->slots[(key >> shift) & 15];
    }
    return p != NULL ? p->value : 0;
}

void setup(void)
{
    root = NULL;
    used = 0;
    for (uint64_t i = 0; i < KEYS; i++)
        store(key_of(i), i + 1);
}

uint64_t run(uint64_t rounds)
{
    uint64_t total = 0;
    for (uint64_t n = 0; n < rounds; n++)
        for (uint64_t i = 0; i < KEYS * 2; i++)
            total = total * 5 + find(key_of(i));
    return total;
}
