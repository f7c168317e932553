# SPDX-License-Identifier: BSD-3-Clause
"""A tokenizer and a recursive-descent calculator over a byte slice.

Grammar:

    sum     = product { ("+" | "-") product }
    product = unary { ("*" | "/" | "%") unary }
    unary   = "-" unary | primary
    primary = NUMBER | NAME | "(" sum ")"
"""

from typing import Final

from kpy import Array, Errno, Ptr, Slice, Str, enum, i32, i64, kprintf, mul_overflow, recursive, ref, struct, throws, u8, u32, u64

EINVAL: Final = 22
ERANGE: Final = 34
EDOM: Final = 33
E2BIG: Final = 7
ENOENT: Final = 2

MAX_DEPTH: Final = 16

ZERO: Final = ord("0")
NINE: Final = ord("9")


@enum(u8)
class Kind:
    END = 0
    NUMBER = 1
    NAME = 2
    PLUS = 3
    MINUS = 4
    STAR = 5
    SLASH = 6
    PERCENT = 7
    OPEN = 8
    CLOSE = 9


@struct
class Token:
    kind: Kind
    start: u64
    end: u64
    value: i64


@struct
class Variable:
    name: Array[u8, 8]
    length: u64
    value: i64


def is_digit(c: u8) -> bool:
    return ZERO <= c <= NINE


def is_letter(c: u8) -> bool:
    return ord("a") <= c <= ord("z") or c == ord("_")


def digit_value(c: u8) -> i64:
    """The value of a hexadecimal digit, or -1."""
    if is_digit(c):
        return c - ZERO
    if ord("a") <= c <= ord("f"):
        return c - ord("a") + 10
    return -1


def is_space(c: u8) -> bool:
    return c in (ord(" "), ord("\t"), ord("\r"), ord("\n"))


@struct
class Lexer:
    text: Slice[u8]
    position: u64
    token: Token

    def skip_spaces(self) -> None:
        while self.position < len(self.text) and is_space(self.text[self.position]):
            self.position += 1

    @throws
    def number(self) -> i64:
        base: i64 = 10
        rest = self.text[self.position:]
        if len(rest) > 2 and rest[:2] == b"0x":
            base = 16
            self.position += 2
        value: i64 = 0
        while self.position < len(self.text):
            digit = digit_value(self.text[self.position])
            if digit < 0 or digit >= base:
                break
            if value > (i64.MAX - digit) // base:
                raise Errno(ERANGE)
            value = value * base + digit
            self.position += 1
        return value

    @throws
    def advance(self) -> None:
        """Read the next token into self.token."""
        self.skip_spaces()
        start = self.position
        if start == len(self.text):
            self.token = Token(kind=Kind.END, start=start, end=start)
            return
        c = self.text[start]
        value: i64 = 0
        if is_digit(c):
            kind = Kind.NUMBER
            value = self.number()
        elif is_letter(c):
            kind = Kind.NAME
            while self.position < len(self.text) and is_letter(self.text[self.position]):
                self.position += 1
        else:
            match self.text[start:start + 1]:
                case b"+":
                    kind = Kind.PLUS
                case b"-":
                    kind = Kind.MINUS
                case b"*":
                    kind = Kind.STAR
                case b"/":
                    kind = Kind.SLASH
                case b"%":
                    kind = Kind.PERCENT
                case b"(":
                    kind = Kind.OPEN
                case b")":
                    kind = Kind.CLOSE
                case _:
                    raise Errno(EINVAL)
            self.position += 1
        self.token = Token(kind=kind, start=start, end=self.position, value=value)


@struct
class Parser:
    lexer: Lexer
    variables: Slice[Variable]
    depth: u32

    def lookup(self, name: Slice[u8]) -> Ptr[Variable] | None:
        for variable in self.variables:
            if variable.name[:variable.length] == name:
                return variable
        return None

    @throws
    @recursive(MAX_DEPTH)
    def primary(self) -> i64:
        token = ref(self.lexer.token)
        match token.kind:
            case Kind.NUMBER:
                value = token.value
            case Kind.NAME:
                variable = self.lookup(self.lexer.text[token.start:token.end])
                if variable is None:
                    raise Errno(ENOENT)
                value = variable.value
            case Kind.OPEN:
                if self.depth == MAX_DEPTH:
                    raise Errno(E2BIG)
                self.depth += 1
                self.lexer.advance()
                value = self.sum()
                self.depth -= 1
                if self.lexer.token.kind != Kind.CLOSE:
                    raise Errno(EINVAL)
            case _:
                raise Errno(EINVAL)
        self.lexer.advance()
        return value

    @throws
    def unary(self) -> i64:
        negative = False
        while self.lexer.token.kind == Kind.MINUS:
            negative = not negative
            self.lexer.advance()
        value = self.primary()
        return -value if negative else value

    @throws
    def product(self) -> i64:
        left = self.unary()
        while self.lexer.token.kind in (Kind.STAR, Kind.SLASH, Kind.PERCENT):
            operator = self.lexer.token.kind
            self.lexer.advance()
            right = self.unary()
            if operator == Kind.STAR:
                left, over = mul_overflow(left, right)
                if over:
                    raise Errno(ERANGE)
            elif right == 0:
                raise Errno(EDOM)
            elif operator == Kind.SLASH:
                left //= right
            else:
                left %= right
        return left

    @throws
    def sum(self) -> i64:
        left = self.product()
        while True:
            match self.lexer.token.kind:
                case Kind.PLUS:
                    self.lexer.advance()
                    left += self.product()
                case Kind.MINUS:
                    self.lexer.advance()
                    left -= self.product()
                case _:
                    return left

    @throws
    def parse(self) -> i64:
        self.lexer.advance()
        value = self.sum()
        if self.lexer.token.kind != Kind.END:
            raise Errno(EINVAL)
        return value


def message(code: i32) -> Str:
    if code == ERANGE:
        return "result out of range"
    if code == EDOM:
        return "division by zero"
    if code == E2BIG:
        return "too deeply nested"
    if code == ENOENT:
        return "unknown name"
    return "syntax error"


def calculate(text: Slice[u8]) -> i64:
    """The value, or minus the error's number."""
    variables: Array[Variable, 2]
    variables[0].name[:3].copy_from(b"ten")
    variables[0].length = 3
    variables[0].value = 10
    variables[1].name[:4].copy_from(b"page")
    variables[1].length = 4
    variables[1].value = 4096
    parser = Parser(lexer=Lexer(text=text), variables=variables)
    try:
        value = parser.parse()
        kprintf(f"{text} = {value}\n")
        return value
    except Errno as e:
        kprintf(f"{text}: {message(e.code)} before byte {parser.lexer.position}\n")
        return -e.code


def count_tokens(text: Slice[u8]) -> u32:
    lexer = Lexer(text=text)
    count: u32 = 0
    try:
        lexer.advance()
        while lexer.token.kind != Kind.END:
            kprintf(f"{lexer.token.kind:<8} '{text[lexer.token.start:lexer.token.end]}'\n")
            count += 1
            lexer.advance()
    except Errno:
        kprintf("bad token\n")
        return 1000 + count
    return count


def many() -> i64:
    total: i64 = 0
    texts: Array[Slice[u8], 3] = [b"1+2*3", b"(4-5)*6", b"-7/2"]
    for text in texts:
        total += calculate(text)
    return total
