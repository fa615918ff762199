// SPDX-License-Identifier: MIT

// A server on the given port that answers every request with the number of requests so far.
package main

import (
	"fmt"
	"log"
	"net/http"
	"os"
	"sync/atomic"
)

var count atomic.Int64

func main() {
	http.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintln(w, count.Add(1))
	})
	log.Fatal(http.ListenAndServe("127.0.0.1:"+os.Args[1], nil))
}
