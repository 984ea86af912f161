// SPDX-License-Identifier: GPL-2.0-or-later
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ExecutorService;

/** Leak: every reconnect makes an ExecutorService that is never shut down. */
final class Executors {
	public static void main(String[] arguments) throws Exception {
		Corpus corpus = new Corpus(arguments);
		List<ExecutorService> connections = new ArrayList<>();
		corpus.sayTruthAndReady("leak", "getTask");
		while (true) {
			corpus.restUntilNext();
			ExecutorService executor = java.util.concurrent.Executors.newSingleThreadExecutor();
			executor.submit(corpus::sayLeak);
			connections.add(executor);
		}
	}
}
