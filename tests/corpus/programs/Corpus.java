// SPDX-License-Identifier: GPL-2.0-or-later
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Random;

/** What the Java programs of the corpus share; corpus.h says what the options and the log mean. */
final class Corpus {
	final double scaleSeconds;
	final double rate;
	final String arrival;
	final Random random;
	private final OutputStream log;
	private final long begunNs = System.nanoTime();
	private final long boottimeNs;
	private int burstLeft;

	Corpus(String[] arguments) throws IOException {
		double scale = 1800, perHorizon = 15;
		String way = "steady", file = "/dev/stdout";
		long seed = 1;
		for (int i = 0; i + 1 < arguments.length; i += 2) {
			String value = arguments[i + 1];
			switch (arguments[i]) {
			case "--scale" -> scale = Double.parseDouble(value);
			case "--seed" -> seed = Long.parseLong(value);
			case "--log" -> file = value;
			case "--arrival" -> way = value;
			case "--rate" -> perHorizon = Double.parseDouble(value);
			default -> throw new IllegalArgumentException(arguments[i]);
			}
		}
		scaleSeconds = scale;
		rate = perHorizon;
		arrival = way;
		random = new Random(seed);
		log = new FileOutputStream(file, true);
		String uptime = Files.readString(Path.of("/proc/uptime"));
		boottimeNs = (long) (Double.parseDouble(uptime.split(" ")[0]) * 1e9) - System.nanoTime();
		say("begin", "\"pid\": " + ProcessHandle.current().pid() + ", \"seed\": " + seed);
	}

	private synchronized void say(String event, String rest) throws IOException {
		double now = (System.nanoTime() + boottimeNs) / 1e9;
		String line = String.format("{\"t\": %.6f, \"event\": \"%s\", %s}%n", now, event, rest);
		log.write(line.getBytes(StandardCharsets.UTF_8));
	}

	/** The calling thread is about to block for ever. */
	void sayLeak() {
		try {
			String self = Files.readSymbolicLink(Path.of("/proc/thread-self")).getFileName().toString();
			say("leak", "\"tid\": " + self);
		} catch (IOException error) {
			throw new IllegalStateException(error);
		}
	}

	void sayTruthAndReady(String kind, String leaf) throws IOException {
		long pid = ProcessHandle.current().pid();
		String name = leaf == null ? "null" : "\"" + leaf + "\"";
		say("truth", "\"kind\": \"" + kind + "\", \"leaf\": " + name + ", \"pid\": " + pid + ", \"tids\": []");
		say("ready", "\"pids\": [" + pid + "]");
	}

	/** In horizons. */
	double elapsed() {
		return (System.nanoTime() - begunNs) / 1e9 / scaleSeconds;
	}

	long milliseconds(double horizons) {
		return Math.max(1, Math.round(horizons * scaleSeconds * 1000));
	}

	void rest(double horizons) {
		try {
			Thread.sleep(milliseconds(horizons));
		} catch (InterruptedException error) {
			throw new IllegalStateException(error);
		}
	}

	synchronized double exponential(double mean) {
		return -mean * Math.log(1 - random.nextDouble());
	}

	/** Rests until the next of rate arrivals a horizon, as --arrival says. */
	void restUntilNext() {
		double gap = 1 / rate;
		switch (arrival) {
		case "irregular" -> gap = exponential(gap);
		case "accelerating" -> gap /= 0.5 + elapsed();
		case "bursts" -> {
			if (burstLeft > 0) {
				burstLeft--;
				gap *= 0.02;
			} else {
				burstLeft = 2 + random.nextInt(3);
				gap *= (burstLeft + 1) * (0.8 + 0.4 * random.nextDouble());
			}
		}
		default -> gap *= 0.8 + 0.4 * random.nextDouble();
		}
		rest(gap);
	}
}
