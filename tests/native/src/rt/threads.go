// SPDX-License-Identifier: MIT

// Go: an HTTP server with its clients, goroutines on channels and locks, a heap that the collector keeps
// up with, timers, a recovered nil dereference and integer division (SIGSEGV, SIGFPE), signals.
package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"sort"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

func check(err error) {
	if err != nil {
		fmt.Println("error:", err)
		os.Exit(1)
	}
}

func reverse(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	for i, j := 0, len(body)-1; i < j; i, j = i+1, j-1 {
		body[i], body[j] = body[j], body[i]
	}
	w.Write(body)
}

func ask(client *http.Client, url string, i int) bool {
	text := bytes.Repeat([]byte{byte(i), byte(i >> 8), 'x'}, i*13%3000+1)
	answer, err := client.Post(url, "text/plain", bytes.NewReader(text))
	if err != nil {
		fmt.Println(err)
		return false
	}
	defer answer.Body.Close()
	got, _ := io.ReadAll(answer.Body)
	return len(got) == len(text) && got[0] == 'x' && got[len(got)-1] == byte(i)
}

func web() {
	plain := httptest.NewServer(http.HandlerFunc(reverse))
	secure := httptest.NewTLSServer(http.HandlerFunc(reverse))
	clients := map[string]*http.Client{
		plain.URL: {Transport: &http.Transport{MaxIdleConnsPerHost: 16}},
		secure.URL: {Transport: &http.Transport{MaxConnsPerHost: 4,
			TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}},
	}
	for _, url := range []string{plain.URL, secure.URL} {
		var right int32
		var wg sync.WaitGroup
		limit := make(chan bool, 32)
		for i := 0; i < 400; i++ {
			wg.Add(1)
			limit <- true
			go func(i int) {
				defer wg.Done()
				if ask(clients[url], url, i) {
					atomic.AddInt32(&right, 1)
				}
				<-limit
			}(i)
		}
		wg.Wait()
		fmt.Println("answered", right)
	}
	plain.Close()
	secure.Close()
	_, err := http.Get(plain.URL)
	fmt.Println("closed:", err != nil)
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	check(err)
	slow := http.Client{Timeout: 50 * time.Millisecond}
	_, err = slow.Get("http://" + silent.Addr().String())
	fmt.Println("timeout:", err.(interface{ Timeout() bool }).Timeout())
}

func goroutines() {
	const n = 5000
	in, out := make(chan int), make(chan int)
	var wg sync.WaitGroup
	for i := 0; i < n; i++ {
		wg.Add(1)
		go func() {
			defer wg.Done()
			out <- <-in * 2
		}()
	}
	go func() {
		for i := 0; i < n; i++ {
			in <- i
		}
	}()
	sum := 0
	for i := 0; i < n; i++ {
		sum += <-out
	}
	wg.Wait()
	fmt.Println("goroutines", sum)

	var mu sync.Mutex
	cond := sync.NewCond(&mu)
	turn := 0
	for i := 0; i < 4; i++ {
		wg.Add(1)
		go func(i int) {
			defer wg.Done()
			runtime.LockOSThread()
			for k := 0; k < 300; k++ {
				mu.Lock()
				for turn%4 != i {
					cond.Wait()
				}
				turn++
				cond.Broadcast()
				mu.Unlock()
			}
		}(i)
	}
	wg.Wait()
	fmt.Println("turns", turn)

	// Nobody yields: only preemption (SIGURG) lets the others run.
	var stop, done int32
	for i := 0; i < 2*runtime.GOMAXPROCS(0); i++ {
		go func() {
			for atomic.LoadInt32(&stop) == 0 {
			}
			atomic.AddInt32(&done, 1)
		}()
	}
	time.Sleep(20 * time.Millisecond)
	runtime.GC()
	atomic.StoreInt32(&stop, 1)
	for atomic.LoadInt32(&done) < int32(2*runtime.GOMAXPROCS(0)) {
		time.Sleep(time.Millisecond)
	}
	fmt.Println("spinners ended")
}

type node struct {
	left, right *node
	payload     []byte
}

func build(depth int) *node {
	if depth == 0 {
		return &node{payload: make([]byte, 64)}
	}
	return &node{build(depth - 1), build(depth - 1), make([]byte, depth)}
}

func (n *node) count() int {
	if n == nil {
		return 0
	}
	return 1 + n.left.count() + n.right.count()
}

func collector() {
	var wg sync.WaitGroup
	totals := make([]int, 4)
	kept := build(14)
	for i := range totals {
		wg.Add(1)
		go func(i int) {
			defer wg.Done()
			for k := 0; k < 12; k++ {
				totals[i] += build(12).count()
				m := map[int]string{}
				for j := 0; j < 2000; j++ {
					m[j] = fmt.Sprint(j)
				}
				totals[i] += len(m)
			}
		}(i)
	}
	wg.Wait()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	fmt.Println("trees", totals, kept.count(), stats.NumGC > 3)
	debug.FreeOSMemory()
	freed := make(chan bool)
	runtime.SetFinalizer(build(3), func(*node) { close(freed) })
	runtime.GC()
	<-freed
	fmt.Println("finalized")
}

func faults() {
	try := func(what string, f func()) {
		defer func() { fmt.Println(what, recover()) }()
		f()
	}
	var none *node
	zero := len(os.Args) - len(os.Args)
	for i := 0; i < 3; i++ {
		try("nil", func() { none.payload = nil })
		try("zero", func() { fmt.Println(1 / zero) })
		try("index", func() { fmt.Println(os.Args[zero+100]) })
	}
}

func timers() {
	start := time.Now()
	ticker := time.NewTicker(5 * time.Millisecond)
	for i := 0; i < 10; i++ {
		<-ticker.C
	}
	ticker.Stop()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	<-ctx.Done()
	fmt.Println(ctx.Err(), time.Since(start) >= 69*time.Millisecond)
}

func signals() {
	caught := make(chan os.Signal, 10)
	signal.Notify(caught, syscall.SIGUSR1, syscall.SIGHUP)
	for _, s := range []syscall.Signal{syscall.SIGUSR1, syscall.SIGHUP} {
		check(syscall.Kill(os.Getpid(), s))
		fmt.Println(<-caught)
	}
	signal.Reset()
}

func files() {
	var wg sync.WaitGroup
	for i := 0; i < 50; i++ {
		wg.Add(1)
		go func(i int) {
			defer wg.Done()
			dir := filepath.Join("tree", fmt.Sprint(i%7))
			check(os.MkdirAll(dir, 0755))
			f, err := os.Create(filepath.Join(dir, fmt.Sprint(i, ".gz")))
			check(err)
			z := gzip.NewWriter(f)
			fmt.Fprintln(z, "file", i)
			check(z.Close())
			check(f.Close())
		}(i)
	}
	wg.Wait()
	names, sum := []string{}, sha256.New()
	check(filepath.Walk("tree", func(path string, info os.FileInfo, err error) error {
		if err == nil && !info.IsDir() {
			names = append(names, path)
			data, _ := os.ReadFile(path)
			sum.Write(data)
		}
		return err
	}))
	sort.Strings(names)
	fmt.Printf("%d %s %x\n", len(names), names[0], sum.Sum(nil))
}

func main() {
	fmt.Println(runtime.Version(), runtime.NumCPU() > 0)
	web()
	goroutines()
	collector()
	faults()
	timers()
	signals()
	files()
	var none *node
	fmt.Println(none.left) // status 2 and a stack trace
}
