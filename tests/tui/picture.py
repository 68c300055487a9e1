"""picture.py OUT.png: draws the terminal screen that `tmux capture-pane -e -p` printed, read from
standard input, as `make screenshots` has it. Blocks, borders and dots are drawn by their shape, so that
they join whatever the font does. Needs Pillow and the DejaVu fonts."""

import re
import sys
import unicodedata

from PIL import Image, ImageDraw, ImageFont

FONTS = "/usr/share/fonts/truetype/dejavu/"
SIZE = 15
WIDTH, HEIGHT = 9, 19
MARGIN = 12
GROUND, INK = (22, 24, 29), (214, 216, 220)
BASE = [
    (40, 42, 48), (224, 108, 97), (140, 190, 110), (226, 192, 105),
    (98, 163, 232), (198, 128, 220), (92, 190, 196), (200, 204, 210),
    (110, 116, 128), (240, 130, 118), (166, 214, 136), (244, 214, 130),
    (130, 186, 245), (216, 156, 236), (122, 212, 218), (245, 246, 248),
]


def indexed(number):
    if number < 16:
        return BASE[number]
    if number >= 232:
        return (8 + 10 * (number - 232),) * 3
    number -= 16
    steps = (0, 95, 135, 175, 215, 255)
    return steps[number // 36], steps[number // 6 % 6], steps[number % 6]


class Style:
    def __init__(self):
        self.reset()

    def reset(self):
        self.ink, self.ground = None, None
        self.bold = self.dim = self.reverse = self.underline = False

    def take(self, codes):
        while codes:
            code = codes.pop(0)
            if code == 0:
                self.reset()
            elif code == 1:
                self.bold = True
            elif code == 2:
                self.dim = True
            elif code == 4:
                self.underline = True
            elif code == 7:
                self.reverse = True
            elif code == 22:
                self.bold = self.dim = False
            elif code == 24:
                self.underline = False
            elif code == 27:
                self.reverse = False
            elif 30 <= code <= 37:
                self.ink = BASE[code - 30]
            elif 90 <= code <= 97:
                self.ink = BASE[code - 90 + 8]
            elif 40 <= code <= 47:
                self.ground = BASE[code - 40]
            elif 100 <= code <= 107:
                self.ground = BASE[code - 100 + 8]
            elif code == 39:
                self.ink = None
            elif code == 49:
                self.ground = None
            elif code in (38, 48) and codes:
                kind = codes.pop(0)
                colour = indexed(codes.pop(0)) if kind == 5 else tuple(codes.pop(0) for _ in range(3))
                if code == 38:
                    self.ink = colour
                else:
                    self.ground = colour

    def colours(self):
        ink, ground = self.ink or INK, self.ground or GROUND
        if self.dim:
            ink = tuple((a + b) // 2 for a, b in zip(ink, ground))
        return (ground, ink) if self.reverse else (ink, ground)


def columns_of(character):
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def draw_shape(draw, point, x, y, ink):
    """True where the character is drawn by its shape."""
    middle_x, middle_y = x + WIDTH // 2, y + HEIGHT // 2
    right, bottom = x + WIDTH - 1, y + HEIGHT - 1
    if 0x2800 <= point <= 0x28FF:
        dots = point - 0x2800
        order = ((0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2), (0, 3), (1, 3))
        for bit, (column, row) in enumerate(order):
            if dots >> bit & 1:
                left = x + 1 + column * 4
                top = y + 2 + row * 4
                draw.ellipse((left, top, left + 2, top + 2), fill=ink)
        return True
    if 0x2581 <= point <= 0x2588:
        height = HEIGHT * (point - 0x2580) // 8
        draw.rectangle((x, bottom - height + 1, right, bottom), fill=ink)
        return True
    if 0x2589 <= point <= 0x258F:
        draw.rectangle((x, y, x + WIDTH * (0x2590 - point) // 8 - 1, bottom), fill=ink)
        return True
    if point == 0x2590:
        draw.rectangle((middle_x, y, right, bottom), fill=ink)
        return True
    arms = {
        0x2500: "lr", 0x2502: "ud", 0x250C: "rd", 0x2510: "ld", 0x2514: "ru", 0x2518: "lu",
        0x251C: "rud", 0x2524: "lud", 0x252C: "lrd", 0x2534: "lru", 0x253C: "lrud",
    }.get(point)
    if not arms:
        return False
    ends = {"l": (x, middle_y), "r": (right, middle_y), "u": (middle_x, y), "d": (middle_x, bottom)}
    for arm in arms:
        draw.line((middle_x, middle_y) + ends[arm], fill=ink)
    return True


def cells_of(line, style):
    position = 0
    for match in re.finditer(r"\x1b\[([0-9;:]*)m|(.)", line):
        if match.group(2) is None:
            style.take([int(code or 0) for code in re.split("[;:]", match.group(1))])
            continue
        width = columns_of(match.group(2))
        yield position if width else max(position - 1, 0), width, match.group(2), style
        position += width


def main():
    lines = sys.stdin.read().rstrip("\n").split("\n")
    plain = [re.sub(r"\x1b\[[0-9;:]*m", "", line) for line in lines]
    columns = max(sum(map(columns_of, line)) for line in plain)
    size = (2 * MARGIN + columns * WIDTH, 2 * MARGIN + len(lines) * HEIGHT)
    picture = Image.new("RGB", size, GROUND)
    draw = ImageDraw.Draw(picture)
    fonts = [ImageFont.truetype(FONTS + name, SIZE) for name in ("DejaVuSansMono.ttf", "DejaVuSansMono-Bold.ttf")]
    style = Style()
    for row, line in enumerate(lines):
        y = MARGIN + row * HEIGHT
        for column, width, character, look in cells_of(line, style):
            x = MARGIN + column * WIDTH
            ink, ground = look.colours()
            if width and ground != GROUND:
                draw.rectangle((x, y, x + width * WIDTH - 1, y + HEIGHT - 1), fill=ground)
            if look.underline:
                draw.line((x, y + HEIGHT - 2, x + width * WIDTH - 1, y + HEIGHT - 2), fill=ink)
            if character != " " and not draw_shape(draw, ord(character), x, y, ink):
                draw.text((x, y), character, font=fonts[look.bold], fill=ink)
    picture.quantize(64).save(sys.argv[1], optimize=True)


if __name__ == "__main__":
    main()
