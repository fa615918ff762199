// SPDX-License-Identifier: MIT

// A server on the given port that answers with random numbers, one "NAME VALUE" a line.
package main

import (
	crand "crypto/rand"
	"fmt"
	"hash/maphash"
	"log"
	"math/rand"
	"net/http"
	"os"
)

func main() {
	http.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		var bytes [8]byte
		crand.Read(bytes[:])
		fmt.Fprintf(w, "math/rand %x\ncrypto/rand %x\n", rand.Uint64(), bytes)
		fmt.Fprintf(w, "maphash %x\n", maphash.String(maphash.MakeSeed(), "text"))
	})
	log.Fatal(http.ListenAndServe("127.0.0.1:"+os.Args[1], nil))
}
