// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The survivor-cohort test, observed and retrospective. The method and its constants
 * are those of VERDICTS.md: if load peaks are exchangeable, the m-th of equal time
 * slices holds a new record of survivors with chance 1/m, so arrivals that fill 7 of
 * 8 slices have chance 29/40320, and 11 of 12 67/12!. One pass over the members for
 * their ages, two for each rule that enough of them are old enough for; no sorting.
 */
#include "user/verdicts.h"

#include <math.h>
#include <string.h>

#define NS_PER_S 1e9
#define LONGEST_WINDOW_S 21600.0 /* cohorts look back over at most this */
#define FEW_COMPLETED 20         /* below it a percentile says nothing: the longest is used */
#define YOUNG_PROCESS_S 600.0
#define MANY_IDLE_WORKERS 256 /* more are no pool that somebody meant */

const double lm_verdict_ages_s[LM_VERDICT_AGES] = {60, 120, 300, 600, 1200, 2400, 4800, 9600, 19200};

struct rule {
	enum lm_level level;
	double age_floor_s;  /* A0 */
	size_t survivors;    /* K */
	int filled, cohorts; /* R of M */
	double window_s;     /* W */
	double warm_up_s;
	double departed_share; /* φ */
	bool needs_trough;     /* of the load, in which nobody left */
};

/* The highest first. */
static const struct rule observed_rules[] = {
	{LM_LEVEL_CONFIRMED, 1200, 60, 11, 12, 10800, 600, 0.02, true},
	{LM_LEVEL_LIKELY, 600, 20, 7, 8, 1800, 300, 0.05, false},
	{LM_LEVEL_LIKELY, 120, 100, 8, 8, 600, 120, 0.02, false}, /* a fast leak */
	{LM_LEVEL_SUSPECT, 60, 8, 5, 5, 180, 60, 0.05, false},
};

/* Births are all known at once, so that the window need not be as long as one that was watched. */
static const struct rule retrospective_rules[] = {
	{LM_LEVEL_LIKELY, 600, 20, 7, 8, 300, 300, 0.05, false},
	{LM_LEVEL_SUSPECT, 60, 8, 5, 5, 180, 60, 0.05, false},
};

/* What "blocked here soon after birth and hardly ran" means in the retrospective test. */
#define RESIDENT_SHARE 0.9 /* of the thread's life */
#define IDLE_SHARE 0.8     /* of the members must be so */
#define CPU_MAX_MS 100
#define SWITCHES_MAX 100
/* … and what "they have only ticked since they were born" means: as often as each other for their age. */
#define TICKS_MIN 10
#define TICK_SLACK 0.25
#define TICK_SLACK_TIMED 0.15 /* who waits with a timeout may be a worker, whose work makes it less regular */
#define TICK_SHORTEST_NS 20e6
#define TICK_CPU_MS 1

static const char idle_words[] = "they wait for work from one place, as idle workers do";

/* A verdict in the making. */
struct trial {
	const struct lm_verdict_input *input;
	size_t older[LM_VERDICT_AGES];      /* members of at least each age */
	size_t older_born[LM_VERDICT_AGES]; /* the same by birth */
	bool ticks;                         /* they have all ticked at one rate since they were born */
	enum lm_level ceiling;              /* by the guards */
	const char *held_back;
	bool idle_workers; /* more of them than anybody would mean must have survived */
};

/* The members that a rule is put to: when each came, by one of two clocks. */
struct cohort_window {
	bool births;              /* by birth, else by arrival here */
	uint64_t from_ns, end_ns; /* those that came in between count */
};

uint64_t lm_verdict_scaled_ns(uint64_t horizon_ns, double seconds)
{
	return seconds / LM_VERDICT_HORIZON_S * horizon_ns;
}

static uint64_t scaled(const struct trial *trial, double seconds)
{
	return lm_verdict_scaled_ns(trial->input->horizon_ns, seconds);
}

static uint64_t age_of(uint64_t since_ns, uint64_t now_ns)
{
	return now_ns > since_ns ? now_ns - since_ns : 0;
}

static void count_ages(struct trial *trial)
{
	const struct lm_verdict_input *input = trial->input;
	uint64_t floors_ns[LM_VERDICT_AGES];

	for (int i = 0; i < LM_VERDICT_AGES; i++)
		floors_ns[i] = scaled(trial, lm_verdict_ages_s[i]);
	for (size_t m = 0; m < input->members_len; m++) {
		uint64_t age_ns = age_of(input->members[m].since_ns, input->now_ns);
		uint64_t life_ns = age_of(input->members[m].born_ns, input->now_ns);

		for (int i = 0; i < LM_VERDICT_AGES && age_ns >= floors_ns[i]; i++)
			trial->older[i]++;
		for (int i = 0; i < LM_VERDICT_AGES && life_ns >= floors_ns[i]; i++)
			trial->older_born[i]++;
	}
}

/* A, the age from which a member counts as a survivor: the index of its floor in lm_verdict_ages_s, -1 if none will
 * do. */
static int age_floor(const struct trial *trial, const struct rule *rule, const size_t older[LM_VERDICT_AGES])
{
	const struct lm_verdict_input *input = trial->input;

	for (int i = 0; i < LM_VERDICT_AGES && older[i] >= rule->survivors; i++) {
		uint64_t floor_ns = scaled(trial, lm_verdict_ages_s[i]);
		uint64_t departed = input->departures[i];

		if (lm_verdict_ages_s[i] < rule->age_floor_s || floor_ns < input->demanded_age_ns ||
			floor_ns / 4 < input->completed_p99_ns)
			continue;
		if (departed <= rule->departed_share * (departed + older[i]))
			return i;
	}
	return -1;
}

static uint64_t arrival_of(const struct cohort_window *window, const struct lm_verdict_member *member)
{
	return window->births ? member->born_ns : member->since_ns;
}

static bool in_window(const struct cohort_window *window, uint64_t arrival_ns)
{
	return arrival_ns >= window->from_ns && arrival_ns <= window->end_ns;
}

/* How many cohorts of [first, end] hold an arrival; one of the last two must. */
static int filled_cohorts(
	const struct trial *trial, const struct cohort_window *window, uint64_t first_ns, const struct rule *rule)
{
	uint64_t length_ns = window->end_ns - first_ns;
	uint32_t filled = 0;

	for (size_t i = 0; i < trial->input->members_len; i++) {
		uint64_t arrival_ns = arrival_of(window, &trial->input->members[i]);
		uint64_t cohort;

		if (arrival_ns < first_ns || arrival_ns > window->end_ns)
			continue;
		cohort = (double)(arrival_ns - first_ns) / length_ns * rule->cohorts;
		filled |= 1u << (cohort < (uint64_t)rule->cohorts ? cohort : (uint64_t)rule->cohorts - 1);
	}
	return filled >> (rule->cohorts - 2) ? __builtin_popcount(filled) : 0;
}

/* Puts those who came in the window to the test, in cohorts from first_ns (0: from the first of them). */
static bool passes(const struct trial *trial, const struct rule *rule, const struct cohort_window *window,
	uint64_t first_ns, struct lm_verdict *verdict)
{
	const struct lm_verdict_input *input = trial->input;
	uint64_t earliest_ns = UINT64_MAX, longest_ns = scaled(trial, LONGEST_WINDOW_S);
	size_t survivors = 0;
	int filled;

	for (size_t i = 0; i < input->members_len; i++) {
		uint64_t arrival_ns = arrival_of(window, &input->members[i]);

		if (!in_window(window, arrival_ns))
			continue;
		survivors++;
		if (arrival_ns < earliest_ns)
			earliest_ns = arrival_ns;
	}
	if (survivors < rule->survivors ||
		(trial->idle_workers && rule->level > LM_LEVEL_SUSPECT && survivors < MANY_IDLE_WORKERS))
		return false;
	if (!first_ns)
		first_ns = earliest_ns;
	if (window->end_ns - first_ns > longest_ns)
		first_ns = window->end_ns - longest_ns;
	if (window->end_ns - first_ns < scaled(trial, rule->window_s))
		return false;
	filled = filled_cohorts(trial, window, first_ns, rule);
	if (filled < rule->filled)
		return false;
	*verdict = (struct lm_verdict){
		.level = rule->level,
		.since_ns = earliest_ns,
		.evidence =
			{
				.survivors = survivors,
				.cohorts_filled = filled,
				.cohorts = rule->cohorts,
				.window_s = (input->now_ns - earliest_ns) / NS_PER_S,
				.retrospective = window->births,
			},
	};
	return true;
}

static void complete(const struct trial *trial, int age, struct lm_verdict *verdict)
{
	const struct lm_verdict_input *input = trial->input;

	verdict->age = age;
	verdict->type = input->guards & LM_GUARD_CONNECTIONS ? LM_FINDING_CONNECTIONS : LM_FINDING_LEAK;
	verdict->held_back = verdict->level == trial->ceiling ? trial->held_back : NULL;
	if (trial->idle_workers && verdict->level == LM_LEVEL_SUSPECT && !verdict->held_back)
		verdict->held_back = idle_words;
	verdict->evidence.departures = input->departures[age];
	verdict->evidence.age_floor_s = scaled(trial, lm_verdict_ages_s[age]) / NS_PER_S;
	verdict->evidence.longest_completed_s =
		input->longest_completed_ns ? input->longest_completed_ns / NS_PER_S : NAN;
}

/* Has the load been low for as long as a survivor must be old, and nobody of that age left meanwhile? */
static bool stayed_through_a_trough(const struct trial *trial, int age)
{
	const struct lm_verdict_input *input = trial->input;
	uint64_t step_ns = input->horizon_ns / LM_VERDICT_STEPS_PER_HORIZON;

	return input->load && lm_load_had_trough(input->load, step_ns, input->last_departures_ns[age],
				      scaled(trial, lm_verdict_ages_s[age]));
}

/* Arrivals that we have seen: after we came and after the process had warmed up. */
static bool judge_observed(const struct trial *trial, const struct rule *rule, struct lm_verdict *verdict)
{
	const struct lm_verdict_input *input = trial->input;
	struct cohort_window window = {.from_ns = input->process_start_ns + scaled(trial, rule->warm_up_s)};
	int age = age_floor(trial, rule, trial->older);

	if (age < 0)
		return false;
	if (window.from_ns < input->watch_start_ns)
		window.from_ns = input->watch_start_ns;
	window.end_ns = input->now_ns - scaled(trial, lm_verdict_ages_s[age]);
	if (window.end_ns <= window.from_ns || !passes(trial, rule, &window, 0, verdict))
		return false;
	if (rule->needs_trough && !stayed_through_a_trough(trial, age))
		return false;
	complete(trial, age, verdict);
	return true;
}

/* How often a thread was switched to in each ns of its life; 0 for one that is no mere timer. */
static double tick_rate(const struct lm_verdict_input *input, const struct lm_verdict_member *member)
{
	uint64_t life_ns = age_of(member->born_ns, input->now_ns);

	if (member->switches < TICKS_MIN || member->cpu_ms > member->switches * TICK_CPU_MS ||
		life_ns < member->switches * TICK_SHORTEST_NS)
		return 0;
	return (double)member->switches / life_ns;
}

/*
 * A timer that nobody cancels is woken at its own rate from birth to the end of the process, so those of one kind have
 * ticked as often as each other for their ages. Workers have not: what they ran depends on the work that there was.
 */
static bool tick_alike(const struct lm_verdict_input *input)
{
	double slack = input->sleeps ? TICK_SLACK : TICK_SLACK_TIMED, sum = 0, typical;
	size_t timers = 0, alike = 0;

	/* where a stay has ended, these are no timers that nobody cancels */
	if ((!input->sleeps && !input->has_timeouts) || input->longest_completed_ns)
		return false;

	for (size_t i = 0; i < input->members_len; i++) {
		double rate = tick_rate(input, &input->members[i]);

		sum += rate;
		timers += rate > 0;
	}
	if (timers < IDLE_SHARE * input->members_len)
		return false;
	typical = sum / timers;
	for (size_t i = 0; i < input->members_len; i++) {
		double rate = tick_rate(input, &input->members[i]);

		alike += rate >= typical * (1 - slack) && rate <= typical * (1 + slack);
	}
	return alike >= IDLE_SHARE * input->members_len;
}

static bool blocked_since_birth(const struct lm_verdict_input *input, const struct lm_verdict_member *member)
{
	uint64_t life_ns = age_of(member->born_ns, input->now_ns);

	return (input->since_is_latest || age_of(member->since_ns, input->now_ns) >= RESIDENT_SHARE * life_ns) &&
	       member->cpu_ms <= CPU_MAX_MS && member->switches <= SWITCHES_MAX;
}

/* Most must have blocked here soon after birth, and the older half of the window must hold a quarter of them. */
static bool lived_here_from_early_on(const struct trial *trial, const struct cohort_window *window)
{
	uint64_t middle_ns = window->from_ns + (window->end_ns - window->from_ns) / 2;
	size_t all = 0, idle = 0, early = 0;

	for (size_t i = 0; i < trial->input->members_len; i++) {
		const struct lm_verdict_member *member = &trial->input->members[i];

		if (!in_window(window, member->born_ns))
			continue;
		all++;
		idle += trial->ticks || blocked_since_birth(trial->input, member);
		early += member->born_ns <= middle_ns;
	}
	return all && idle >= IDLE_SHARE * all && 4 * early >= all;
}

/* Those that were started at once, and nothing since, look the same: no more than a suspicion. */
static bool is_undated(const struct lm_verdict_input *input)
{
	return input->guards & LM_GUARD_UNDATED;
}

/* What the kernel knew before we came: the births of the present members. */
static bool judge_retrospective(const struct trial *trial, const struct rule *rule, struct lm_verdict *verdict)
{
	const struct lm_verdict_input *input = trial->input;
	struct cohort_window window = {
		.births = true,
		.from_ns = input->process_start_ns + scaled(trial, rule->warm_up_s),
	};
	int age = age_floor(trial, rule, trial->ticks ? trial->older_born : trial->older);

	if (age < 0)
		return false;
	window.end_ns = input->now_ns - scaled(trial, lm_verdict_ages_s[age]);
	if (window.end_ns <= window.from_ns || !lived_here_from_early_on(trial, &window) ||
		!passes(trial, rule, &window, window.from_ns, verdict))
		return false;
	complete(trial, age, verdict);
	if (is_undated(input) && !verdict->held_back)
		verdict->held_back = "no garbage collection has dated these goroutines yet";
	return true;
}

/* How far the guards let a verdict go. */
static void apply_guards(struct trial *trial)
{
	const struct lm_verdict_input *input = trial->input;

	trial->ceiling = LM_LEVEL_SUSPECT;
	trial->idle_workers = input->guards & LM_GUARD_IDLE_WORKERS;
	if (age_of(input->process_start_ns, input->now_ns) < scaled(trial, YOUNG_PROCESS_S))
		trial->held_back = "the process is young";
	else if (input->guards & LM_GUARD_CONNECTIONS && !(input->guards & LM_GUARD_DEAD_PEERS))
		trial->held_back = "each has a connection of its own, and most of those are alive";
	else if (input->guards & LM_GUARD_IDLE_WORKERS && input->members_len < MANY_IDLE_WORKERS)
		trial->held_back = idle_words;
	else
		trial->ceiling = LM_LEVEL_LIKELY;
	if (trial->ceiling < LM_LEVEL_LIKELY)
		return;
	if (input->guards & LM_GUARD_CONNECTIONS)
		trial->held_back = "a silent client may speak again";
	else if (input->guards & LM_GUARD_TIMEOUTS)
		trial->held_back = "each waits in a call that ends by itself, when its time is over";
	else
		trial->ceiling = LM_LEVEL_CONFIRMED;
}

#define RULES(table) (sizeof(table) / sizeof((table)[0]))

void lm_verdict_leak(const struct lm_verdict_input *input, struct lm_verdict *verdict)
{
	struct trial trial = {.input = input};
	struct lm_verdict retrospective = {.level = LM_LEVEL_NONE};
	bool found = false;

	*verdict = (struct lm_verdict){.level = LM_LEVEL_NONE};
	if (input->members_len < observed_rules[RULES(observed_rules) - 1].survivors)
		return;
	apply_guards(&trial);
	count_ages(&trial);
	trial.ticks = tick_alike(input);
	for (size_t i = 0; i < RULES(observed_rules) && !found; i++)
		found = observed_rules[i].level <= trial.ceiling && judge_observed(&trial, &observed_rules[i], verdict);
	found = false;
	for (size_t i = 0; i < RULES(retrospective_rules) && !found; i++) {
		const struct rule *rule = &retrospective_rules[i];

		if (rule->level > LM_LEVEL_SUSPECT && is_undated(input))
			continue;
		found = rule->level <= trial.ceiling && rule->level > verdict->level &&
			judge_retrospective(&trial, rule, &retrospective);
	}
	if (retrospective.level > verdict->level)
		*verdict = retrospective;
}

double lm_verdict_departed_share(enum lm_level level)
{
	for (size_t i = 0; i < RULES(observed_rules); i++) {
		if (observed_rules[i].level == level)
			return observed_rules[i].departed_share;
	}
	return 0;
}

uint64_t lm_verdict_completed_p99(const uint32_t completed[LM_VERDICT_HISTOGRAM], uint64_t len, uint64_t longest_ns)
{
	uint64_t beyond = len / 100, seen = 0;

	if (len < FEW_COMPLETED)
		return longest_ns;
	for (int bucket = LM_VERDICT_HISTOGRAM - 1; bucket >= 0; bucket--) {
		seen += completed[bucket];
		if (seen > beyond) {
			uint64_t upper_ns = bucket >= 63 ? UINT64_MAX : 1ull << (bucket + 1);

			return upper_ns < longest_ns ? upper_ns : longest_ns;
		}
	}
	return 0;
}
