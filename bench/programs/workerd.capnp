# SPDX-License-Identifier: MIT
# workerd with bench/programs/worker.js: one isolate for all requests. The address is given on the command line.
using Workerd = import "/workerd/workerd.capnp";

const config :Workerd.Config = (
  services = [(name = "main", worker = (
    modules = [(name = "worker", esModule = embed "worker.js")],
    compatibilityDate = "2025-01-01",
  ))],
  sockets = [(name = "http", address = "127.0.0.1:1", http = (), service = "main")],
);
