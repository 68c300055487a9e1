#include "reader/tui/terminal_input.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "reader/util/utf8.h"

enum {
	ESCAPE = 0x1b,
	WANTS_MORE = -1,
	WHEEL_BIT = 64,
	MOTION_BIT = 32,
	MODIFIER_BITS = 4 | 8 | 16,
};

size_t terminal_input_add(struct terminal_input *input, const void *bytes, size_t count)
{
	size_t room = TERMINAL_INPUT_MAX - input->length;

	if (count > room)
		count = room;
	memcpy(input->bytes + input->length, bytes, count);
	input->length += count;
	return count;
}

static void drop(struct terminal_input *input, size_t count)
{
	input->length -= count;
	memmove(input->bytes, input->bytes + count, input->length);
}

static void key_is(struct input *input, unsigned int key)
{
	*input = (struct input){.action = key_action(key), .key = key};
}

/* button as SGR and X10 number them; columns and lines from 1. */
static void mouse_is(struct input *input, unsigned int button, int column, int line, bool is_press)
{
	enum action action = ACTION_NONE;

	button &= ~(unsigned int)MODIFIER_BITS;
	if (button == WHEEL_BIT)
		action = ACTION_WHEEL_UP;
	else if (button == WHEEL_BIT + 1)
		action = ACTION_WHEEL_DOWN;
	else if (button == 0 && is_press)
		action = ACTION_CLICK;
	*input = (struct input){
		.action = action, .key = KEY_IS_MOUSE, .x = column - 1, .y = line - 1};
}

/* Key of "CSI number ~". */
static unsigned int numbered_key(unsigned long number)
{
	switch (number) {
	case 1:
	case 7:
		return KEY_IS_HOME;
	case 3:
		return KEY_IS_DELETE;
	case 4:
	case 8:
		return KEY_IS_END;
	case 5:
		return KEY_IS_PAGE_UP;
	case 6:
		return KEY_IS_PAGE_DOWN;
	}
	return 0;
}

/* Of CSI and SS3 alike, with or without modifiers. */
static unsigned int lettered_key(unsigned char letter)
{
	switch (letter) {
	case 'A':
		return KEY_IS_UP;
	case 'B':
		return KEY_IS_DOWN;
	case 'C':
		return KEY_IS_RIGHT;
	case 'D':
		return KEY_IS_LEFT;
	case 'F':
		return KEY_IS_END;
	case 'H':
		return KEY_IS_HOME;
	case 'M':
		return KEY_IS_ENTER;
	case 'Z':
		return KEY_IS_BACK_TAB;
	}
	return 0;
}

/* "<button;column;line" and M or m. */
static void read_sgr_mouse(const char *parameters, unsigned char final, struct input *ret_input)
{
	char *end;
	unsigned long button = strtoul(parameters + 1, &end, 10);
	unsigned long column = *end == ';' ? strtoul(end + 1, &end, 10) : 0;
	unsigned long line = *end == ';' ? strtoul(end + 1, &end, 10) : 0;

	if (!column || !line || *end || column > INT16_MAX || line > INT16_MAX)
		return;
	mouse_is(ret_input, (unsigned int)button, (int)column, (int)line, final == 'M');
}

/* Bytes of "ESC [ …" that are there, or WANTS_MORE. */
static long read_csi(const struct terminal_input *input, struct input *ret_input)
{
	char parameters[32] = "";
	size_t at = 2, count = 0;
	unsigned char final;

	/* The Linux console's function keys. */
	if (at < input->length && input->bytes[at] == '[')
		return input->length > 3 ? 4 : WANTS_MORE;
	while (at < input->length && input->bytes[at] >= 0x20 && input->bytes[at] <= 0x3f) {
		if (count + 1 < sizeof(parameters))
			parameters[count++] = (char)input->bytes[at];
		at++;
	}
	if (at == input->length)
		return WANTS_MORE;
	final = input->bytes[at];
	/* A sequence is cut short by what can be no part of it. */
	if (final < 0x40 || final > 0x7e)
		return (long)at;
	at++;
	if (parameters[0] == '<' && (final == 'M' || final == 'm')) {
		read_sgr_mouse(parameters, final, ret_input);
	} else if (final == 'M' && !count) {
		if (input->length < at + 3)
			return WANTS_MORE;
		mouse_is(ret_input, input->bytes[at] - 32u, input->bytes[at + 1] - 32,
			 input->bytes[at + 2] - 32, true);
		at += 3;
	} else if (final == '~') {
		key_is(ret_input, numbered_key(strtoul(parameters, NULL, 10)));
	} else if (final != 'M') {
		key_is(ret_input, lettered_key(final));
	}
	return (long)at;
}

static long read_ss3(const struct terminal_input *input, struct input *ret_input)
{
	if (input->length < 3)
		return WANTS_MORE;
	key_is(ret_input, lettered_key(input->bytes[2]));
	return 3;
}

/* "11;rgb:ffff/ffff/ffff": of each colour the first digits are enough. */
static void read_background(struct terminal_input *input, const char *text)
{
	static const char prefix[] = "11;rgb:";
	unsigned int parts[3];
	char *end;

	if (strncmp(text, prefix, strlen(prefix)))
		return;
	text += strlen(prefix);
	for (int i = 0; i < 3; i++) {
		char digits[3] = "";

		memcpy(digits, text, strnlen(text, 2));
		parts[i] = (unsigned int)strtoul(digits, &end, 16);
		if (end != digits + 2)
			return;
		text = strchr(text, '/');
		if (!text && i < 2)
			return;
		text = text ? text + 1 : NULL;
	}
	input->is_background_told = true;
	input->is_background_light = parts[0] * 3 + parts[1] * 6 + parts[2] > 5 * 255;
}

/* "ESC ] … BEL", or any other string, ended by "ESC \" too. */
static long read_string(struct terminal_input *input)
{
	for (size_t at = 2; at < input->length; at++) {
		bool is_ended = at + 1 < input->length && input->bytes[at] == ESCAPE;
		char text[64] = "";

		if (input->bytes[at] != '\a' && !is_ended)
			continue;
		if (input->bytes[1] == ']' && at - 2 < sizeof(text)) {
			memcpy(text, input->bytes + 2, at - 2);
			read_background(input, text);
		}
		/* Any other escape begins something new. */
		if (is_ended)
			return (long)(input->bytes[at + 1] == '\\' ? at + 2 : at);
		return (long)at + 1;
	}
	return WANTS_MORE;
}

static long read_escape(struct terminal_input *input, struct input *ret_input)
{
	if (input->length == 1)
		return WANTS_MORE;
	switch (input->bytes[1]) {
	case '[':
		return read_csi(input, ret_input);
	case 'O':
		return read_ss3(input, ret_input);
	case ']':
	case 'P':
	case 'X':
	case '^':
	case '_':
		return read_string(input);
	}
	/* Typed one after the other, faster than we looked. */
	key_is(ret_input, KEY_IS_ESCAPE);
	return 1;
}

static long read_character(const struct terminal_input *input, struct input *ret_input)
{
	char text[5] = "";
	size_t count = input->length < 4 ? input->length : 4, bytes;
	uint32_t point;
	bool is_whole =
		input->bytes[0] < 0xe0 ? count >= 2 : count >= (input->bytes[0] < 0xf0 ? 3 : 4);

	if (!input->is_unicode)
		return 1;
	memcpy(text, input->bytes, count);
	bytes = utf8_decode(text, &point);
	if (!bytes && !is_whole)
		return WANTS_MORE;
	if (bytes && !utf8_is_harmful(point))
		key_is(ret_input, point);
	return bytes ? (long)bytes : 1;
}

static long read_one(struct terminal_input *input, struct input *ret_input)
{
	unsigned char first = input->bytes[0];

	if (first == ESCAPE)
		return read_escape(input, ret_input);
	if (first >= 0x80)
		return read_character(input, ret_input);
	key_is(ret_input, first == 0x7f || first == '\b' ? (unsigned int)KEY_IS_BACKSPACE : first);
	return 1;
}

bool terminal_input_next(struct terminal_input *input, bool is_late, struct input *ret_input)
{
	while (input->length) {
		struct input read = {0};
		long bytes = read_one(input, &read);

		if (bytes == WANTS_MORE) {
			if (!is_late && input->length < TERMINAL_INPUT_MAX)
				return false;
			/* Esc alone is the key; the beginning of something is nothing. */
			if (input->bytes[0] == ESCAPE && input->length == 1)
				key_is(&read, KEY_IS_ESCAPE);
			bytes = (long)input->length;
		}
		drop(input, (size_t)bytes);
		if (read.key) {
			*ret_input = read;
			return true;
		}
	}
	return false;
}
