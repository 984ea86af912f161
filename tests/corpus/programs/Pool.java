// SPDX-License-Identifier: GPL-2.0-or-later
import java.util.concurrent.SynchronousQueue;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.TimeUnit;

/** No leak: a cached thread pool, whose idle threads end after a time, under a load that ramps up, with bursts. */
final class Pool {
	static final double SERVICE = 1 / 450.; // mean: 4 s of a horizon of 30 min
	static final double IDLE_TIME = 1 / 30.; // 60 s

	public static void main(String[] arguments) throws Exception {
		Corpus corpus = new Corpus(arguments);
		ThreadPoolExecutor pool = new ThreadPoolExecutor(
			0, 1000, corpus.milliseconds(IDLE_TIME), TimeUnit.MILLISECONDS, new SynchronousQueue<>());
		corpus.sayTruthAndReady("silent", null);
		while (true) {
			double busy = 10 * Math.min(1, 0.1 + corpus.elapsed());
			corpus.rest(corpus.exponential(SERVICE / busy));
			int jobs = corpus.random.nextInt(200) == 0 ? 40 : 1;
			for (int i = 0; i < jobs; i++)
				pool.submit(() -> corpus.rest(corpus.exponential(SERVICE)));
		}
	}
}
