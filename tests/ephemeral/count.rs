// SPDX-License-Identifier: MIT
// A server on the given port that answers every request with the number of requests so far, a
// thread for each connection.
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};

static COUNT: AtomicU64 = AtomicU64::new(0);

fn serve(stream: TcpStream) -> std::io::Result<()> {
    let mut writer = stream.try_clone()?;
    let mut reader = BufReader::new(stream);
    loop {
        let mut last = false;
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line)? == 0 {
                return Ok(());
            }
            last |= line.to_lowercase() == "connection: close\r\n";
            if line == "\r\n" {
                break;
            }
        }
        let body = format!("{}\n", COUNT.fetch_add(1, Ordering::SeqCst) + 1);
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
        writer.write_all((head + &body).as_bytes())?;
        if last {
            return Ok(());
        }
    }
}

fn main() -> std::io::Result<()> {
    let port = std::env::args().nth(1).expect("a port");
    for stream in TcpListener::bind(format!("127.0.0.1:{port}"))?.incoming() {
        let stream = stream?;
        std::thread::spawn(move || serve(stream));
    }
    Ok(())
}
