// SPDX-License-Identifier: BSD-3-Clause
#include <stdint.h>
#include <stddef.h>
#define COUNT 4096

struct node { struct node *next; uint64_t value; };
static struct node nodes[COUNT];
static struct node *head;

void setup(void)
{
    head = NULL;
    for (uint64_t i = 0; i < COUNT; i++) {
        struct node *node = &nodes[(i * 1597) % COUNT];
        node->value = i;
        node->next = head;
        head = node;
    }
}

uint64_t run(uint64_t rounds)
{
    uint64_t total = 0;
    for (uint64_t i = 0; i < rounds; i++)
        for (struct node *p = head; p != NULL; p = p->next)
            total = total * 3 + p->value;
    return total;
}
