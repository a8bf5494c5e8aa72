// Which properties of librdkafka the configuration may pass through.
#pragma once
#include <stddef.h>

// Why the property is not the operator's to set, or NULL if it is: static text, a clause for an error
// message.
const char *kafka_property_reserved(const char *name);
// Whether librdkafka knows the property and takes the value. 0; 1: no, *ret_why (up to size bytes) says why.
// Connects to nothing.
int kafka_property_check(const char *name, const char *value, char *ret_why, size_t size);
