// SPDX-License-Identifier: MIT
// Java: threads under garbage pressure, null checks that are faults, a server and its clients.
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.net.InetSocketAddress;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.ByteBuffer;
import java.nio.MappedByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.channels.Selector;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.security.MessageDigest;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CyclicBarrier;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import java.util.stream.LongStream;

public class Threads {
	static class Node {
		Node left, right;
		int value = 1;
		byte[] payload = new byte[32];

		static Node build(int depth) {
			Node n = new Node();
			if (depth > 0) {
				n.left = build(depth - 1);
				n.right = build(depth - 1);
			}
			return n;
		}

		int count() {
			return 1 + (left == null ? 0 : left.count()) + (right == null ? 0 : right.count());
		}
	}

	static void garbage() throws Exception {
		ExecutorService pool = Executors.newFixedThreadPool(8);
		List<Future<Long>> results = new ArrayList<>();
		for (int t = 0; t < 8; t++)
			results.add(pool.submit(() -> {
				long total = 0;
				for (int i = 0; i < 12; i++) {
					total += Node.build(13).count();
					Map<String, Integer> map = new HashMap<>();
					for (int k = 0; k < 3000; k++)
						map.merge("key " + k % 1000, k, Integer::sum);
					total += map.get("key 7");
				}
				return total;
			}));
		long sum = 0;
		for (Future<Long> r : results)
			sum += r.get();
		pool.shutdown();
		System.out.println("garbage " + sum + " " + pool.awaitTermination(10, TimeUnit.SECONDS));
		long collections = ManagementFactory.getGarbageCollectorMXBeans().stream()
			.mapToLong(b -> b.getCollectionCount()).sum();
		System.out.println("collected " + (collections > 0));
		System.gc();
	}

	static int valueOf(Node n) {
		return n.value; // compiled code checks for null by faulting
	}

	static void faults() {
		Node some = new Node();
		long sum = 0;
		for (int i = 0; i < 200000; i++)
			sum += valueOf(some);
		int caught = 0;
		for (int i = 0; i < 2000; i++)
			try {
				sum += valueOf(i % 4 == 0 ? null : some);
			} catch (NullPointerException e) {
				caught++;
			}
		System.out.println("null checks " + sum + " " + caught);
		int zeros = 0;
		for (int i = 0; i < 50000; i++)
			try {
				sum += 1000 / (i % 10);
			} catch (ArithmeticException e) {
				zeros++;
			}
		System.out.println("divisions " + sum + " " + zeros);
		try {
			endless(0);
		} catch (StackOverflowError e) {
			System.out.println("stack overflow");
		}
		try {
			System.out.println(new long[Integer.MAX_VALUE][].length);
		} catch (OutOfMemoryError e) {
			System.out.println("out of memory");
		}
	}

	static int endless(int n) {
		return endless(n + 1) + 1;
	}

	static void stackOverflowsInThreads() throws Exception {
		AtomicInteger overflows = new AtomicInteger();
		Thread[] threads = new Thread[6];
		for (int i = 0; i < threads.length; i++) {
			threads[i] = new Thread(() -> {
				try {
					endless(0);
				} catch (StackOverflowError e) {
					overflows.incrementAndGet();
				}
			});
			threads[i].start();
		}
		for (Thread t : threads)
			t.join();
		System.out.println("overflows " + overflows);
	}

	static void locks() throws Exception {
		Object lock = new Object();
		int[] turn = {0};
		CyclicBarrier barrier = new CyclicBarrier(4);
		Thread[] threads = new Thread[4];
		for (int i = 0; i < 4; i++) {
			int me = i;
			threads[i] = new Thread(() -> {
				try {
					barrier.await();
					for (int k = 0; k < 300; k++)
						synchronized (lock) {
							while (turn[0] % 4 != me)
								lock.wait();
							turn[0]++;
							lock.notifyAll();
						}
					barrier.await();
				} catch (Exception e) {
					System.out.println(e);
				}
			});
			threads[i].start();
		}
		for (Thread t : threads)
			t.join();
		System.out.println("turns " + turn[0]);

		Thread sleeper = new Thread(() -> {
			try {
				Thread.sleep(100000);
			} catch (InterruptedException e) {
				System.out.println("interrupted");
			}
		});
		sleeper.start();
		sleeper.interrupt();
		sleeper.join();

		volatileSpin();
		for (int i = 0; i < 500; i++) {
			Thread t = new Thread(() -> { });
			t.start();
			t.join();
		}
		System.out.println("churned");
	}

	static volatile boolean flag;

	static void volatileSpin() throws Exception {
		Thread spinner = new Thread(() -> {
			while (!flag)
				;
		});
		spinner.start();
		Thread.sleep(10);
		flag = true;
		spinner.join();
		System.out.println("spun");
	}

	static void parallel() throws Exception {
		System.out.println("parallel " + LongStream.range(0, 3000000).parallel().map(i -> i * i % 7).sum());
		ConcurrentHashMap<Integer, AtomicLong> map = new ConcurrentHashMap<>();
		IntStream.range(0, 100000).parallel()
			.forEach(i -> map.computeIfAbsent(i % 100, k -> new AtomicLong()).addAndGet(i));
		System.out.println("map " + map.values().stream().mapToLong(AtomicLong::get).sum());
		CompletableFuture<Integer> future = CompletableFuture.supplyAsync(() -> 20).thenCombineAsync(
			CompletableFuture.supplyAsync(() -> 22), Integer::sum);
		System.out.println("future " + future.get());
		ScheduledExecutorService timer = Executors.newScheduledThreadPool(2);
		AtomicInteger ticks = new AtomicInteger();
		timer.scheduleAtFixedRate(ticks::incrementAndGet, 0, 5, TimeUnit.MILLISECONDS);
		timer.schedule(() -> { }, 60, TimeUnit.MILLISECONDS).get();
		timer.shutdownNow();
		System.out.println("ticks " + (ticks.get() >= 5));
	}

	static void web() throws Exception {
		HttpServer server = HttpServer.create(new InetSocketAddress("127.0.0.1", 0), 0);
		server.setExecutor(Executors.newFixedThreadPool(4));
		server.createContext("/", exchange -> {
			byte[] body = exchange.getRequestBody().readAllBytes();
			exchange.sendResponseHeaders(200, body.length);
			exchange.getResponseBody().write(new StringBuilder(new String(body)).reverse().toString().getBytes());
			exchange.close();
		});
		server.start();
		HttpClient client = HttpClient.newHttpClient();
		URI uri = URI.create("http://127.0.0.1:" + server.getAddress().getPort() + "/");
		List<CompletableFuture<String>> answers = IntStream.range(0, 100).mapToObj(i -> client
			.sendAsync(HttpRequest.newBuilder(uri).POST(HttpRequest.BodyPublishers.ofString("request " + i)).build(),
				HttpResponse.BodyHandlers.ofString()).thenApply(HttpResponse::body)).collect(Collectors.toList());
		System.out.println(answers.stream().map(CompletableFuture::join).sorted().collect(Collectors.joining(",")));
		server.stop(0);
		((ExecutorService) server.getExecutor()).shutdown();
		try (Selector selector = Selector.open()) {
			System.out.println("selected " + selector.select(5));
		}
	}

	static void files() throws Exception {
		Path path = Path.of("mapped");
		try (FileChannel channel = FileChannel.open(path, StandardOpenOption.CREATE, StandardOpenOption.READ,
			StandardOpenOption.WRITE)) {
			MappedByteBuffer map = channel.map(FileChannel.MapMode.READ_WRITE, 0, 1 << 20);
			for (int i = 0; i < 1 << 20; i += 4)
				map.putInt(i, i * 31);
			map.force();
			ByteBuffer some = ByteBuffer.allocateDirect(8);
			channel.read(some, 4000);
			System.out.println(some.getInt(0) + " " + channel.size());
		}
		byte[] digest = MessageDigest.getInstance("SHA-256").digest(Files.readAllBytes(path));
		System.out.println(Arrays.toString(digest));
		try {
			Files.readAllBytes(Path.of("absent"));
		} catch (IOException e) {
			System.out.println(e);
		}
	}

	public static void main(String[] args) throws Exception {
		System.out.println(System.getProperty("java.vm.name") + " " + Runtime.version().feature());
		garbage();
		faults();
		stackOverflowsInThreads();
		locks();
		parallel();
		web();
		files();
		Runtime.getRuntime().addShutdownHook(new Thread(() -> System.out.println("bye")));
		System.exit(5);
	}
}
