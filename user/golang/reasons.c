// SPDX-License-Identifier: GPL-2.0-or-later
/* Go's words for waits, and what they are to us. The numbers behind them differ between versions, the words do not. */
#include <string.h>

#include "user/golang/runtime_find.h"

static const struct {
	const char *text;
	enum lm_go_state state;
} states[] = {
	{"chan send", LM_GO_CHAN_SEND},
	{"chan receive", LM_GO_CHAN_RECEIVE},
	{"chan send (nil chan)", LM_GO_CHAN_SEND_NIL},
	{"chan receive (nil chan)", LM_GO_CHAN_RECEIVE_NIL},
	{"select", LM_GO_SELECT},
	{"select (no cases)", LM_GO_SELECT_NO_CASES},
	{"sync.Mutex.Lock", LM_GO_MUTEX},
	{"sync.RWMutex.RLock", LM_GO_RWMUTEX_READ},
	{"sync.RWMutex.Lock", LM_GO_RWMUTEX_WRITE},
	{"sync.Cond.Wait", LM_GO_COND},
	{"sync.WaitGroup.Wait", LM_GO_WAITGROUP},
	{"semacquire", LM_GO_SEMAPHORE},
	{"sleep", LM_GO_SLEEP},
	{"IO wait", LM_GO_IO},
	/* in a bubble of testing/synctest */
	{"chan send (synctest)", LM_GO_CHAN_SEND},
	{"chan receive (synctest)", LM_GO_CHAN_RECEIVE},
	{"chan send (durable)", LM_GO_CHAN_SEND},
	{"chan receive (durable)", LM_GO_CHAN_RECEIVE},
	{"select (synctest)", LM_GO_SELECT},
	{"select (durable)", LM_GO_SELECT},
	{"sync.WaitGroup.Wait (durable)", LM_GO_WAITGROUP},
	{"sync.Cond.Wait (durable)", LM_GO_COND},
};

enum lm_go_state lm_go_reason_state(const char *text)
{
	for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++) {
		if (strcmp(states[i].text, text) == 0)
			return states[i].state;
	}
	return LM_GO_OTHER;
}
