// SPDX-License-Identifier: BSD-3-Clause
#include <stdint.h>
#define SIZE 4096

enum state { SPACE, NUMBER, WORD, TEXT, ESCAPE };
static uint8_t text[SIZE];

void setup(void)
{
    static const uint8_t pattern[] = "set name = \"a\\\"b\" 12 + 345; call fn(x, 77) # end\n";
    for (uint64_t i = 0; i < SIZE; i++)
        text[i] = pattern[(i + i / 61) % (sizeof pattern - 1)];
}

static uint8_t classify(uint8_t c)
{
    switch (c) {
    case 9: case 10: case 13: case 32:
        return 0;
    case 34:
        return 3;
    case 92:
        return 4;
    case 95:
        return 2;
    default:
        if (48 <= c && c <= 57)
            return 1;
        if ((97 <= c && c <= 122) || (65 <= c && c <= 90))
            return 2;
        return 5;
    }
}

static uint64_t scan(const uint8_t *s, uint64_t n)
{
    uint8_t state = SPACE;
    uint64_t value = 0, total = 0;
    for (uint64_t i = 0; i < n; i++) {
        uint8_t c = s[i], kind = classify(c);
        switch (state) {
        case SPACE:
            switch (kind) {
            case 1:
                state = NUMBER;
                value = c - 48;
                break;
            case 2:
                state = WORD;
                value = c;
                break;
            case 3:
                state = TEXT;
                break;
            case 5:
                total = total * 7 + c;
                break;
            }
            break;
        case NUMBER:
            if (kind == 1) {
                value = value * 10 + (uint64_t)(c - 48);
            } else {
                total = total * 31 + value;
                state = kind == 3 ? TEXT : SPACE;
            }
            break;
        case WORD:
            if (kind == 1 || kind == 2) {
                value = value * 33 + c;
            } else {
                total = total * 17 + value;
                state = kind == 3 ? TEXT : SPACE;
            }
            break;
        case TEXT:
            switch (kind) {
            case 3:
                state = SPACE;
                break;
            case 4:
                state = ESCAPE;
                break;
            default:
                total += c;
            }
            break;
        case ESCAPE:
            total = total * 3 + c;
            state = TEXT;
            break;
        }
    }
    return total;
}

uint64_t run(uint64_t rounds)
{
    uint64_t total = 0;
    for (uint64_t n = 0; n < rounds; n++)
        total = total * 5 + scan(text + n % 64, SIZE - n % 64);
    return total;
}
