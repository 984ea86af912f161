// SPDX-License-Identifier: GPL-2.0-or-later
import java.util.ArrayList;
import java.util.List;
import java.util.Timer;
import java.util.TimerTask;

/** Leak: each session starts a java.util.Timer that is never cancelled. */
final class Timers {
	static final double TICK = 1 / 20.; // 90 s of a horizon of 30 min

	static Timer open(Corpus corpus) {
		Timer timer = new Timer(true);
		timer.scheduleAtFixedRate(new TimerTask() {
			private boolean ran;

			@Override
			public void run() {
				if (!ran)
					corpus.sayLeak();
				ran = true;
			}
		}, 0, corpus.milliseconds(TICK));
		return timer;
	}

	public static void main(String[] arguments) throws Exception {
		Corpus corpus = new Corpus(arguments);
		List<Timer> sessions = new ArrayList<>();
		corpus.sayTruthAndReady("leak", "mainLoop");
		while (true) {
			corpus.restUntilNext();
			sessions.add(open(corpus));
		}
	}
}
