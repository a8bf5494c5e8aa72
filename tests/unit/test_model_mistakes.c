// Every mistake that a model can have: the text, and the exact lines that a reader of it gets.
#include "model_rows.h"

// What is wrong within a section.
static const struct row sections[] = {
    {"transitions: [{from: a, to: b, when: buy}]\n",
     "m.yaml:5:15: the transition's name is missing; add it\n"},
    {"transitions: [{name: x y, from: a, to: b, when: buy}]\n",
     "m.yaml:5:22: the transition's name 'x y' has other characters than letters, digits, '-', '_' and '.'; "
     "use only these\n"},
    {"transitions:\n"
     "  - {name: x, from: a, to: b, when: buy}\n"
     "  - {name: x, from: b, to: c, when: buy}\n",
     "m.yaml:7:12: a transition 'x' is already on line 6; rename one of them\n"},
    {"transitions: [{name: x, to: b, when: buy}]\n",
     "m.yaml:5:15: the transition has no 'from'; add the stage or stages that it leaves\n"},
    {"transitions: [{name: x, from: a, when: buy}]\n",
     "m.yaml:5:15: the transition has no 'to'; add the stage that it leads to\n"},
    {"transitions: [{name: x, from: [], to: b, when: buy}]\n",
     "m.yaml:5:31: the list is empty; name at least one\n"},
    {"transitions: [{name: x, from: [a, b], to: b, when: buy}]\n",
     "m.yaml:5:43: the transition leads to a stage that it leaves, 'b'; take it out of 'from'\n"},
    {"transitions: [{name: x, from: aa, to: bb, when: buuy}]\n",
     "m.yaml:5:31: unknown stage 'aa'; use one of the model's stages\n"
     "m.yaml:5:39: unknown stage 'bb'; use one of the model's stages\n"
     "m.yaml:5:49: unknown signal 'buuy'; did you mean 'buy'?\n"},
    {"transitions: [{name: x, from: a, to: [b, c], when: {buy: 1}}]\n",
     "m.yaml:5:38: the stage is a list; it should be one text\n"
     "m.yaml:5:52: the signal is a map; it should be one text\n"},
    {"transitions: [{name: x, from: a, to: b}]\n",
     "m.yaml:5:15: the transition has no condition; add at least one of 'when', 'after', 'quiet', 'if'\n"},
    {"transitions: [{name: x, from: a, to: b, after: 30}]\n",
     "m.yaml:5:48: 'after' '30' has no unit; write '30d' for days (units: ms, s, m, h, d, w)\n"},
    {"transitions: [{name: x, from: a, to: b, after: soon}]\n",
     "m.yaml:5:48: 'after' 'soon' is no duration; write a whole number and a unit (ms, s, m, h, d, w), at "
     "most 100 years\n"},
    {"transitions: [{name: x, from: a, to: b, after: 101y}]\n",
     "m.yaml:5:48: 'after' '101y' is no duration; write a whole number and a unit (ms, s, m, h, d, w), at "
     "most 100 years\n"},
    {"transitions: [{name: x, from: a, to: b, quiet: 0d}]\n",
     "m.yaml:5:48: 'quiet' is 0; it should be longer\n"},
    {"transitions: [{name: x, from: a, to: b, quiet: {of: buy}}]\n",
     "m.yaml:5:48: 'quiet' has no 'for'; add how long, such as {of: purchase, for: 30d}\n"},
    {"transitions: [{name: x, from: a, to: b, quiet: {of: sell, for: 3d, since: 2d}}]\n",
     "m.yaml:5:53: unknown signal 'sell'; use one of the model's signals\n"
     "m.yaml:5:68: 'quiet' has no key 'since'; it can have of, for\n"},
    {"transitions: [{name: x, from: a, to: b, if: , when: buy}]\n",
     "m.yaml:5:45: the expression is empty; give it a value or remove it\n"},
    {"transitions: [{name: x, from: a, to: b, on: buy}]\n",
     "m.yaml:5:15: the transition has no condition; add at least one of 'when', 'after', 'quiet', 'if'\n"
     "m.yaml:5:41: a transition has no key 'on'; it can have name, from, to, when, after, quiet, if\n"},
    {"transitions: [{name: x, from: a, to: b, if: count(buy, 3d) > 1}]\n",
     "m.yaml:5:54: expected ')', but the expression ends; an expression with a comma needs quotes\n"
     "m.yaml:5:56: a transition has no key '3d) > 1'; it can have name, from, to, when, after, quiet, if\n"},
    {"transitions: {x: {from: a, to: b, when: buy}}\n",
     "m.yaml:5:14: 'transitions' is no list; write each transition as an item, '- {name: NAME, ...}'\n"},
    {"transitions: [x]\n",
     "m.yaml:5:15: a transition is a single value; it should be a map, such as {key: value}\n"},
    {"triggers: [{name: t, enter: b}]\n", "m.yaml:5:12: the trigger's campaign is missing; add it\n"},
    {"triggers: [{name: t, campaign: all, enter: b}]\n",
     "m.yaml:5:32: 'all' has a meaning of its own and is no name for a campaign; choose another\n"},
    {"triggers: [{name: t, campaign: objective, enter: b}]\n",
     "m.yaml:5:32: 'objective' has a meaning of its own and is no name for a campaign; choose another\n"},
    {"triggers: [{name: objective.won, campaign: c, enter: b}]\n",
     "m.yaml:5:19: names that begin with 'objective.' belong to objectives; choose another\n"},
    {"triggers:\n"
     "- {name: t, campaign: c, enter: b}\n"
     "- {name: t, campaign: c, exit: b}\n",
     "m.yaml:7:10: a trigger 't' is already on line 6; rename one of them\n"},
    {"triggers: [{name: t, campaign: c}]\n",
     "m.yaml:5:12: the trigger has none of 'enter', 'exit' and 'in'; give it exactly one\n"},
    {"triggers: [{name: t, campaign: c, enter: b, exit: c}]\n",
     "m.yaml:5:12: the trigger has several of 'enter', 'exit' and 'in'; give it exactly one\n"},
    {"triggers: [{name: t, campaign: c, enter: b, to: a}]\n",
     "m.yaml:5:49: 'to' belongs to 'exit', not to 'enter'; remove it\n"},
    {"triggers: [{name: t, campaign: c, exit: b, from: a}]\n",
     "m.yaml:5:50: 'from' belongs to 'enter', not to 'exit'; remove it\n"},
    {"triggers: [{name: t, campaign: c, in: b, from: a, to: c, after: 1d}]\n",
     "m.yaml:5:48: 'from' belongs to 'enter', not to 'in'; remove it\n"
     "m.yaml:5:55: 'to' belongs to 'exit', not to 'in'; remove it\n"},
    {"triggers: [{name: t, campaign: c, enter: b, from: b}]\n",
     "m.yaml:5:51: the trigger names the same stage twice; no transition leads from a stage to itself\n"},
    {"triggers: [{name: t, campaign: c, enter: b, when: buy, after: 1d, quiet: 1d, if: age > 1d}]\n",
     "m.yaml:5:51: 'when' belongs to 'in', not to 'enter'; remove it, or use 'unless'\n"
     "m.yaml:5:63: 'after' belongs to 'in', not to 'enter'; remove it, or use 'unless'\n"
     "m.yaml:5:74: 'quiet' belongs to 'in', not to 'enter'; remove it, or use 'unless'\n"
     "m.yaml:5:82: 'if' belongs to 'in', not to 'enter'; remove it, or use 'unless'\n"},
    {"triggers: [{name: t, campaign: c, in: b}]\n", "m.yaml:5:12: the trigger has no condition; add one of "
                                                    "'when', 'after', 'quiet', 'if', or use 'enter'\n"},
    {"triggers: [{name: t, campaign: c, in: b, after: 1d, once: spell}]\n",
     "m.yaml:5:59: 'once: spell' needs 'quiet', whose silence is the spell; add it, or write visit or "
     "ever\n"},
    {"triggers: [{name: t, campaign: c, exit: b, once: spell}]\n",
     "m.yaml:5:50: 'once: spell' needs 'quiet', whose silence is the spell; add it, or write visit or "
     "ever\n"},
    {"triggers: [{name: t, campaign: c, exit: b, once: always}]\n",
     "m.yaml:5:50: 'once' is none of its choices; write visit, ever, or, with 'quiet', spell\n"},
    {"triggers: [{name: t, campaign: c, exit: b, touch: soft}]\n",
     "m.yaml:5:51: 'touch' is none of its choices; write high, low or none\n"},
    {"triggers: [{name: t, campaign: c, enter: b, unless: count(buy) > many}]\n",
     "m.yaml:5:66: 'count' is compared with a number, but 'many' is none; write one, such as 3\n"},
    {"triggers: [{name: t, campaign: c, enter: b, channels: {a: b}, content: [x]}]\n",
     "m.yaml:5:55: 'channels' is a map; it should be a text or a list of texts\n"
     "m.yaml:5:72: 'content' is a list; it should be one text\n"},
    {"caps: {c: {max: 1, per: 1d}}\n",
     "m.yaml:5:8: unknown campaign 'c'; use one of the model's campaigns\n"},
    {"triggers: [{name: t, campaign: care, exit: a}]\n"
     "caps: {car: {max: 1, per: 1d}}\n",
     "m.yaml:6:8: unknown campaign 'car'; did you mean 'care'?\n"},
    {"caps: {all: {max: 0, per: 1d}}\n",
     "m.yaml:5:19: 'max' is no whole number from 1 to 1024; write one, such as 1\n"},
    {"caps: {all: {max: 1025, per: 0d}}\n",
     "m.yaml:5:19: 'max' is no whole number from 1 to 1024; write one, such as 1\n"
     "m.yaml:5:30: 'per' is 0; it should be longer\n"},
    {"caps: {all: {max: 1}}\n", "m.yaml:5:13: the cap has no 'per'; write {max: 1, per: 14d}\n"},
    {"caps: {all: {per: 1d}}\n", "m.yaml:5:13: the cap has no 'max'; write {max: 1, per: 14d}\n"},
    {"caps: {all: 3}\n", "m.yaml:5:13: a cap is a single value; it should be a map, such as {key: value}\n"},
    {"caps: [all]\n", "m.yaml:5:7: 'caps' is no map; write 'campaign: {max: 1, per: 14d}'\n"},
    {"migrate: {old: d, a: b}\n",
     "m.yaml:5:16: unknown stage 'd'; use one of the model's stages\n"
     "m.yaml:5:19: stage 'a' still exists, so nobody leaves it by a migration; remove this line\n"},
    {"migrate: [old]\n", "m.yaml:5:10: 'migrate' is no map; write 'former stage: stage of this version'\n"},
    {"score: {half_life: 30d}\n", "m.yaml:5:8: the score has no 'potential'; add it\n"
                                  "m.yaml:5:8: the score has no 'weights'; add it\n"},
    {"score: {half_life: 0d, potential: 0, weights: {}}\n",
     "m.yaml:5:20: the half-life is 0; it should be longer\n"
     "m.yaml:5:35: the potential is 0; it should be more than 0\n"
     "m.yaml:5:47: 'weights' gives no signal a weight; it should be a map, such as {purchase: 10}\n"},
    {"score: {half_life: 30, potential: -1.5, weights: {byu: 1, buy: many}}\n",
     "m.yaml:5:20: the half-life '30' has no unit; write '30d' for days (units: ms, s, m, h, d, w)\n"
     "m.yaml:5:35: the potential is -1.5; it should be more than 0\n"
     "m.yaml:5:51: unknown signal 'byu'; did you mean 'buy'?\n"
     "m.yaml:5:64: the weight is no number; write one, such as 10 or 0.5\n"},
    {"score: 5\n", "m.yaml:5:8: 'score' is a single value; it should be a map, such as {key: value}\n"},
    {"report: [visits(a), gap(buy), in_stage, age, 'count(buy, stage)', 'trend(buy, 3d)']\n",
     "m.yaml:5:10: 'visits(a)' cannot be reported; report count(s), sum(s), mean(s), value(s), since(s) or "
     "score\n"
     "m.yaml:5:21: 'gap(buy)' cannot be reported; report count(s), sum(s), mean(s), value(s), since(s) or "
     "score\n"
     "m.yaml:5:31: 'in_stage' cannot be reported; report count(s), sum(s), mean(s), value(s), since(s) or "
     "score\n"
     "m.yaml:5:41: 'age' cannot be reported; report count(s), sum(s), mean(s), value(s), since(s) or score\n"
     "m.yaml:5:46: 'count(buy, stage)' cannot be reported; report count(s), sum(s), mean(s), value(s), "
     "since(s) or score\n"
     "m.yaml:5:67: 'trend(buy, 3d)' cannot be reported; report count(s), sum(s), mean(s), value(s), since(s) "
     "or score\n"},
    {"report: ['count(buy, 3d)', score, sum(view), count(bye), kount(buy), count(buy) > 1]\n",
     "m.yaml:5:10: no rule or trigger compares 'count(buy, 3d)', so it is not kept; report the count without "
     "a window, or one that is compared\n"
     "m.yaml:5:28: the model has no score; add 'score:' with half_life, potential and weights\n"
     "m.yaml:5:35: signal 'view' keeps no values; give it 'value: true'\n"
     "m.yaml:5:52: unknown signal 'bye'; use one of the model's signals\n"
     "m.yaml:5:58: unknown fact 'kount'; did you mean 'count'?\n"
     "m.yaml:5:81: expected the end of the fact, found '>'\n"},
    {"report: {count: buy}\n",
     "m.yaml:5:9: 'report' is a map; it should be a list of facts, such as [count(purchase), score]\n"},
    {"transition: []\n", "m.yaml:5:1: a model has no key 'transition'; did you mean 'transitions'?\n"},
};

// What is wrong with the model as a whole, its signals and its stages.
static const struct row files[] = {
    {"",
     "m.yaml:1:1: the model has no name; add 'model: NAME'\n"
     "m.yaml:1:1: the model has no version; add 'version: 1'\n"
     "m.yaml:1:1: the model has no signals; add 'signals:' with at least one, such as 'purchase: [order]'\n"
     "m.yaml:1:1: the model has no stages; add 'stages:' with at least one\n"},
    {"model: m\n",
     "m.yaml:1:1: the model has no version; add 'version: 1'\n"
     "m.yaml:1:1: the model has no signals; add 'signals:' with at least one, such as 'purchase: [order]'\n"
     "m.yaml:1:1: the model has no stages; add 'stages:' with at least one\n"},
    {"model: my model\n"
     "version: 1.5\n"
     "signals: {s: [e]}\n"
     "stages: {a: }\n",
     "m.yaml:1:8: the model's name 'my model' has other characters than letters, digits, '-', '_' and '.'; "
     "use only these\n"
     "m.yaml:2:10: the version is no whole number from 1 to 4294967295; write one, such as 1\n"},
    {"model: [m]\n"
     "version: 0\n"
     "signals: {s: [e]}\n"
     "stages: {a: }\n",
     "m.yaml:1:8: the model's name is a list; it should be one text\n"
     "m.yaml:2:10: the version is no whole number from 1 to 4294967295; write one, such as 1\n"},
    {"model: mmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmm\n"
     "version: 4294967296\n"
     "signals: {s: [e]}\n"
     "stages: {a: }\n",
     "m.yaml:1:8: the model's name has 65 characters; at most 64 are allowed\n"
     "m.yaml:2:10: the version is no whole number from 1 to 4294967295; write one, such as 1\n"},
    {"model: m\n"
     "version: 1\n"
     "signals: [s]\n"
     "stages: [a]\n",
     "m.yaml:3:10: 'signals' names no signal; it should be a map, such as 'purchase: [order]'\n"
     "m.yaml:4:9: 'stages' names no stage; it should be a map, such as 'prospect: {owner: acquisition}'\n"},
    {"model: m\n"
     "version: 1\n"
     "signals: {}\n"
     "stages: {}\n",
     "m.yaml:3:10: 'signals' names no signal; it should be a map, such as 'purchase: [order]'\n"
     "m.yaml:4:9: 'stages' names no stage; it should be a map, such as 'prospect: {owner: acquisition}'\n"},
    {"model: m\n"
     "version: 1\n"
     "signals: {s: , t: [], u: [''], v: {value: true}, w x: [e], y: [[e]]}\n"
     "stages: {a b: }\n",
     "m.yaml:3:14: the event type is empty; give it a value or remove it\n"
     "m.yaml:3:19: signal 't' has no events; name at least one event type\n"
     "m.yaml:3:27: the event type is empty; give it a value or remove it\n"
     "m.yaml:3:35: signal 'v' has no 'events'; add the event types that it counts\n"
     "m.yaml:3:50: the signal 'w x' has other characters than letters, digits, '-', '_' and '.'; use only "
     "these\n"
     "m.yaml:3:64: the event type is a list; it should be one text\n"
     "m.yaml:4:10: the stage 'a b' has other characters than letters, digits, '-', '_' and '.'; use only "
     "these\n"},
    {"model: m\n"
     "version: 1\n"
     "signals: {s: {events: e, value: 1, were: {a: b}}}\n"
     "stages: {a: 3}\n",
     "m.yaml:3:33: 'value' is neither true nor false; write one of them, without quotes\n"
     "m.yaml:3:36: a signal has no key 'were'; did you mean 'where'?\n"
     "m.yaml:4:13: a stage is a single value; it should be a map, such as {key: value}\n"},
    {"model: m\n"
     "version: 1\n"
     "signals: {s: {events: e, where: vip}, t: {events: e, where: {p: [], q: , r: [1, [2]]}}}\n"
     "stages: {a: {owner: [x], channel: y}}\n",
     "m.yaml:3:33: 'where' names no property; write a map such as {plan: vip}\n"
     "m.yaml:3:65: the list is empty; name at least one value of 'p'\n"
     "m.yaml:3:72: a property can be compared with a text, a number, true or false, or a list of these; "
     "write one\n"
     "m.yaml:3:81: a property can be compared with a text, a number, true or false, or a list of these; "
     "write one\n"
     "m.yaml:4:21: 'owner' is a list; it should be one text\n"
     "m.yaml:4:26: a stage has no key 'channel'; did you mean 'channels'?\n"},
    {"model: m\n"
     "version: 1\n"
     "signals: {s: [e], s: [f]}\n"
     "stages: {a: }\n",
     "m.yaml:3:19: the key 's' is already on line 3; keep one of them\n"},
    {"model: m\n"
     "version: 1\n"
     "signals: {s: [e]}\n"
     "stages:\n"
     "  a: {objective: {name: o}}\n"
     "  b: {objective: {name: o, when: s, reach: a}}\n"
     "  c: {objective: {name: o, reach: c}}\n"
     "  d: {objective: {when: t, within: 0s}}\n"
     "  e: {objective: {name: 'o!', reach: f, within: 5}}\n"
     "  g: {objective: win}\n",
     "m.yaml:5:18: the objective has neither 'when' nor 'reach'; give it either the stage to 'reach' or a "
     "signal in 'when'\n"
     "m.yaml:6:18: the objective has both 'when' and 'reach'; give it either the stage to 'reach' or a "
     "signal in 'when'\n"
     "m.yaml:7:35: the objective is to reach its own stage; name another\n"
     "m.yaml:8:18: the objective's name is missing; add it\n"
     "m.yaml:8:25: unknown signal 't'; use one of the model's signals\n"
     "m.yaml:8:36: the objective's time is 0; it should be longer\n"
     "m.yaml:9:25: the objective's name 'o!' has other characters than letters, digits, '-', '_' and '.'; "
     "use only these\n"
     "m.yaml:9:38: unknown stage 'f'; use one of the model's stages\n"
     "m.yaml:9:49: 'within' '5' has no unit; write '5d' for days (units: ms, s, m, h, d, w)\n"
     "m.yaml:10:18: an objective is a single value; it should be a map, such as {key: value}\n"},
};

START_TEST(section_mistakes)
{
    check_row(&sections[_i]);
}
END_TEST

START_TEST(file_mistakes)
{
    check_row(&files[_i]);
}
END_TEST

#define ROWS(table) ((int)(sizeof(table) / sizeof((table)[0])))

int main(void)
{
    Suite *suite = suite_create("model_mistakes");
    TCase *tests = tcase_create("mistakes");
    tcase_add_loop_test(tests, section_mistakes, 0, ROWS(sections));
    tcase_add_loop_test(tests, file_mistakes, 0, ROWS(files));
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
