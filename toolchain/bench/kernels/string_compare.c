// SPDX-License-Identifier: BSD-3-Clause
#include <stdint.h>
#define NAMES 256

struct name { uint64_t length; uint8_t text[48]; };
static struct name names[NAMES];

void setup(void)
{
    uint64_t x = 1;
    for (uint64_t i = 0; i < NAMES; i++) {
        x = x * 6364136223846793005u + 1442695040888963407u;
        uint64_t length = 20 + (x >> 60);
        names[i].length = length;
        for (uint64_t k = 0; k < length; k++)
            names[i].text[k] = (uint8_t)(97 + ((i >> (k % 3)) & 7) * (k / 17));
    }
}

static int64_t compare(const uint8_t *a, uint64_t na, const uint8_t *b, uint64_t nb)
{
    uint64_t n = na < nb ? na : nb;
    for (uint64_t i = 0; i < n; i++)
        if (a[i] != b[i])
            return (int64_t)a[i] - (int64_t)b[i];
    return (int64_t)na - (int64_t)nb;
}

uint64_t run(uint64_t rounds)
{
    uint64_t total = 0;
    for (uint64_t n = 0; n < rounds; n++)
        for (uint64_t i = 0; i < NAMES; i++)
            for (uint64_t k = 0; k < NAMES; k += 3) {
                int64_t order = compare(names[i].text, names[i].length,
                                        names[k].text, names[k].length);
                if (order == 0)
                    total = total * 3 + k;
                else if (order < 0)
                    total++;
            }
    return total;
}
