// What the daemon says, one line an occasion: a message for people, and fields for machines. To the journal
// with its fields where the standard error is connected to it, else as logfmt on the standard error. Any
// thread may call.
//
//     log_note(NOTE_INFO, LOG_MESSAGE("took the partition"), LOG_TEXT("topic", topic), LOG_INT("partition",
//     p));
//
// Customer ids and their events are never logged.
#pragma once
#include "ports.h"

struct log_field {
    const char *key;  // lower case letters and _; NULL ends the fields
    const char *text; // NULL: the number
    int64_t number;
};

#define LOG_MESSAGE(text) {"msg", text, 0}
#define LOG_TEXT(key, text) {key, (text) ? (text) : "", 0}
#define LOG_INT(key, number) {key, NULL, number}

// Writes the message, which comes first, and its fields. The very same line again within LOG_WINDOW_MS is
// written LOG_BURST times; then it is counted, and the count is written when the window is over.
#define log_note(level, ...) log_write(level, (const struct log_field[]){__VA_ARGS__, {0}})
void log_write(enum note_level level, const struct log_field *fields);

enum { LOG_WINDOW_MS = 30000, LOG_BURST = 5 };

// Where and what: `format` is enum config_log_format. Without it: NOTE_INFO and above, as logfmt.
void log_open(enum note_level level, int format);
void log_level_set(enum note_level level);
// Whether that level is written at all: to spare the making of a message.
bool log_wants(enum note_level level);
// Writes what was held back. Call it now and then (any call of log_write does it, too), and at the end.
void log_flush(bool all);
