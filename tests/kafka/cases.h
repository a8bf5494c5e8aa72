// The groups of tests, each a file.
#pragma once
#include "fixture.h"

void add_log_cases(TCase *t);    // real Kafka
void add_sink_cases(TCase *t);   // real Kafka
void add_cut_cases(TCase *t);    // real Kafka
void add_topics_cases(TCase *t); // real Kafka
void add_mock_cases(TCase *t);   // librdkafka's own mock
