// SPDX-License-Identifier: GPL-2.0-or-later
package com.example;

import java.io.InputStream;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.util.Map;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.ThreadFactory;
import java.util.concurrent.locks.ReentrantLock;

/**
 * Threads that wait, each in a way of its own and named after it. "Waits ROUNDS": each of the waiting methods is first
 * called so many times without having to wait, so that it is compiled. Prints the stacks as the JVM itself knows them.
 */
public final class Waits {
    interface Body {
        void run() throws Exception;
    }

    /** What all of them go through: a call to an interface, small enough to be inlined. */
    static final class Client {
        private final Body body;

        Client(Body body) {
            this.body = body;
        }

        void call() throws Exception {
            step();
        }

        private void step() throws Exception {
            body.run();
        }
    }

    static final Object monitor = new Object(), held = new Object();
    static final ReentrantLock lock = new ReentrantLock();
    static final CountDownLatch never = new CountDownLatch(1), open = new CountDownLatch(0);
    static final LinkedBlockingQueue<String> queue = new LinkedBlockingQueue<>();

    static void waitForNotify(long millis) throws Exception {
        synchronized (monitor) {
            monitor.wait(millis);
        }
    }

    static void enter() {
        synchronized (held) { held.hashCode(); } // on one line: interpreted, the JVM says that of what comes next
    }

    static void takeLock() {
        lock.lock();
        lock.unlock();
    }

    static void await(CountDownLatch latch) throws Exception {
        latch.await();
    }

    static String take() throws Exception {
        return queue.take();
    }

    static void sleep(long millis) throws Exception {
        Thread.sleep(millis);
    }

    static int read(InputStream in) throws Exception {
        return in.read();
    }

    static synchronized void recurse(int depth) throws Exception {
        if (depth > 0)
            recurse(depth - 1);
        else
            await(never);
    }

    /** While there is one kind of gate, its method is called directly; code that relied on that is given up later. */
    abstract static class Gate {
        abstract int pass(CountDownLatch latch) throws Exception;
    }

    static final class Door extends Gate {
        int pass(CountDownLatch latch) throws Exception {
            await(latch);
            return 1;
        }
    }

    static final class Arch extends Gate {
        int pass(CountDownLatch latch) {
            return 2;
        }
    }

    static int passTwice(Gate gate, CountDownLatch latch) throws Exception {
        int sum = 0;
        for (int i = 0; i < 2; i++)
            sum += gate.pass(latch);
        return sum;
    }

    public static void reflected() throws Exception {
        await(never);
    }

    static void start(String name, Body body) {
        Client client = new Client(body);
        Thread thread = new Thread(() -> {
            try {
                client.call();
            } catch (Exception e) {
                throw new IllegalStateException(e);
            }
        }, name);
        thread.setDaemon(true);
        thread.start();
    }

    static InputStream connect(ServerSocket server, int bytes) throws Exception {
        Socket socket = new Socket(server.getInetAddress(), server.getLocalPort());
        server.accept().getOutputStream().write(new byte[bytes]);
        return socket.getInputStream();
    }

    static void warmUp(int rounds, InputStream in) throws Exception {
        Client client = new Client(() -> await(open));
        Gate door = new Door();
        for (int i = 0; i < rounds; i++) {
            queue.add("x");
            take();
            client.call();
            sleep(0);
            takeLock();
            enter();
            read(in);
            passTwice(door, open);
            if (i % 100 == 0)
                waitForNotify(1);
        }
    }

    static void startAll(ServerSocket server, InputStream in) throws Exception {
        start("wait", () -> waitForNotify(0));
        start("enter", Waits::enter);
        start("lock", Waits::takeLock);
        start("latch", () -> await(never));
        start("take", Waits::take);
        start("sleep", () -> sleep(1000000000));
        start("socket", () -> read(in));
        start("recurse", () -> recurse(5));
        start("gate", () -> passTwice(new Door(), never));
        start("reflect", () -> Waits.class.getMethod("reflected").invoke(null));
        ThreadFactory daemons = runnable -> {
            Thread thread = new Thread(runnable, "pool");
            thread.setDaemon(true);
            return thread;
        };
        ExecutorService pool = Executors.newFixedThreadPool(3, daemons);
        for (int i = 0; i < 3; i++)
            pool.submit(() -> 0);
        Executors.newWorkStealingPool(1).submit(() -> 0);
        Executors.newScheduledThreadPool(1, runnable -> {
            Thread thread = daemons.newThread(runnable);
            thread.setName("scheduled");
            return thread;
        }).schedule(() -> 0, 1, java.util.concurrent.TimeUnit.HOURS);
    }

    static boolean allWait() {
        for (Map.Entry<Thread, StackTraceElement[]> entry : Thread.getAllStackTraces().entrySet()) {
            Thread.State state = entry.getKey().getState();
            boolean waits = state != Thread.State.RUNNABLE || entry.getKey().getName().equals("socket");
            if (entry.getKey() != Thread.currentThread() && entry.getKey().getThreadGroup() != null
                && entry.getKey().getThreadGroup().getName().equals("main") && !waits)
                return false;
        }
        return true;
    }

    /** {"threads": {"wait": [["com.example.Waits.waitForNotify", "Waits.java", 60], …], …}} */
    static String describe() {
        StringBuilder text = new StringBuilder("{\"threads\": {");
        String comma = "";
        for (Map.Entry<Thread, StackTraceElement[]> entry : Thread.getAllStackTraces().entrySet()) {
            if (entry.getKey() == Thread.currentThread() || entry.getValue().length == 0)
                continue;
            text.append(comma).append('"').append(entry.getKey().getName()).append("\": [");
            comma = "";
            for (StackTraceElement element : entry.getValue()) {
                text.append(String.format("%s[\"%s.%s\", \"%s\", %d]", comma, element.getClassName(),
                    element.getMethodName(), element.getFileName(), element.getLineNumber()));
                comma = ", ";
            }
            text.append(']');
        }
        return text.append("}}").toString();
    }

    public static void main(String[] arguments) throws Exception {
        int rounds = Integer.parseInt(arguments[0]);
        try (ServerSocket server = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
            InputStream in = connect(server, rounds);
            warmUp(rounds, in);
            lock.lock();
            synchronized (held) {
                startAll(server, in);
                do
                    Thread.sleep(200);
                while (!allWait());
                passTwice(new Arch(), open);
                System.out.println(describe());
                synchronized (open) {
                    open.wait();
                }
            }
        }
    }
}
