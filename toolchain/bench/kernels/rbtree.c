// SPDX-License-Identifier: BSD-3-Clause
#include <stdbool.h>
#include <stdint.h>
#define COUNT 1024

struct node { struct node *left, *right, *parent; uint64_t key; bool red; };
static struct node nodes[COUNT];
static struct node nil = { &nil, &nil, &nil, 0, false };
static struct node *root = &nil;

void setup(void)
{
    root = &nil;
    for (uint64_t i = 0; i < COUNT; i++)
        nodes[i].key = (i * 0x9E3779B9) % 65536;
}

static void rotate_left(struct node *x)
{
    struct node *y = x->right;
    x->right = y->left;
    if (y->left != &nil)
        y->left->parent = x;
    y->parent = x->parent;
    if (x->parent == &nil)
        root = y;
    else if (x == x->parent->left)
        x->parent->left = y;
    else
        x->parent->right = y;
    y->left = x;
    x->parent = y;
}

static void rotate_right(struct node *x)
{
    struct node *y = x->left;
    x->left = y->right;
    if (y->right != &nil)
        y->right->parent = x;
    y->parent = x->parent;
    if (x->parent == &nil)
        root = y;
    else if (x == x->parent->right)
        x->parent->right = y;
    else
        x->parent->left = y;
    y->right = x;
    x->parent = y;
}

static void insert(struct node *z)
{
    struct node *y = &nil, *x = root;
    while (x != &nil) {
        y = x;
        x = z->key < x->key ? x->left : x->right;
    }
    z->parent = y;
    if (y == &nil)
        root = z;
    else if (z->key < y->key)
        y->left = z;
    else
        y->right = z;
    z->left = &nil;
    z->right = &nil;
    z->red = true;
    while (z->parent->red) {
        struct node *grand = z->parent->parent;
        if (z->parent == grand->left) {
            struct node *uncle = grand->right;
            if (uncle->red) {
                z->parent->red = false;
                uncle->red = false;
                grand->red = true;
                z = grand;
            } else {
                if (z == z->parent->right) {
                    z = z->parent;
                    rotate_left(z);
                }
                z->parent->red = false;
                z->parent->parent->red = true;
                rotate_right(z->parent->parent);
            }
        } else {
            struct node *uncle = grand->left;
            if (uncle->red) {
                z->parent->red = false;
                uncle->red = false;
                grand->red = true;
                z = grand;
            } else {
                if (z == z->parent->left) {
                    z = z->parent;
                    rotate_right(z);
                }
                z->parent->red = false;
                z->parent->parent->red = true;
                rotate_left(z->parent->parent);
            }
        }
    }
    root->red = false;
}

static void transplant(struct node *u, struct node *v)
{
    if (u->parent == &nil)
        root = v;
    else if (u == u->parent->left)
        u->parent->left = v;
    else
        u->parent->right = v;
    v->parent = u->parent;
}

static void repair(struct node *x)
{
    while (x != root && !x->red) {
        if (x == x->parent->left) {
            struct node *w = x->parent->right;
            if (w->red) {
                w->red = false;
                x->parent->red = true;
                rotate_left(x->parent);
                w = x->parent->right;
            }
            if (!w->left->red && !w->right->red) {
                w->red = true;
                x = x->parent;
            } else {
                if (!w->right->red) {
                    w->left->red = false;
                    w->red = true;
                    rotate_right(w);
                    w = x->parent->right;
                }
                w->red = x->parent->red;
                x->parent->red = false;
                w->right->red = false;
                rotate_left(x->parent);
                x = root;
            }
        } else {
            struct node *w = x->parent->left;
            if (w->red) {
                w->red = false;
                x->parent->red = true;
                rotate_right(x->parent);
                w = x->parent->left;
            }
            if (!w->right->red && !w->left->red) {
                w->red = true;
                x = x->parent;
            } else {
                if (!w->left->red) {
                    w->right->red = false;
                    w->red = true;
                    rotate_left(w);
                    w = x->parent->left;
                }
                w->red = x->parent->red;
                x->parent->red = false;
                w->left->red = false;
                rotate_right(x->parent);
                x = root;
            }
        }
    }
    x->red = false;
}

static void delete(struct node *z)
{
    bool was_red = z->red;
    struct node *x;
    if (z->left == &nil) {
        x = z->right;
        transplant(z, z->right);
    } else if (z->right == &nil) {
        x = z->left;
        transplant(z, z->left);
    } else {
        struct node *y = z->right;
        while (y->left != &nil)
            y = y->left;
        was_red = y->red;
        x = y->right;
        if (y->parent == z) {
            x->parent = y;
        } else {
            transplant(y, y->right);
            y->right = z->right;
            y->right->parent = y;
        }
        transplant(z, y);
        y->left = z->left;
        y->left->parent = y;
        y->red = z->red;
    }
    if (!was_red)
        repair(x);
}

static uint64_t depth_sum(void)
{
    uint64_t total = 0;
    for (uint64_t i = 0; i < COUNT; i++)
        for (struct node *p = &nodes[i]; p != root; p = p->parent)
            total++;
    return total;
}

uint64_t run(uint64_t rounds)
{
    uint64_t total = 0;
    for (uint64_t n = 0; n < rounds; n++) {
        for (uint64_t i = 0; i < COUNT; i++)
            insert(&nodes[i]);
        total += depth_sum();
        for (uint64_t i = 0; i < COUNT; i++)
            delete(&nodes[(i * 389) % COUNT]);
        if (root == &nil)
            total++;
    }
    return total;
}
