#pragma once

#define ENGAGED_VERSION "0.1.0"
