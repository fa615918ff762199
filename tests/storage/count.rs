// SPDX-License-Identifier: MIT
// As examples/storage, in Rust: "storage" or "request PORT".
use std::ffi::c_void;
use std::io::{BufRead, BufReader, Write};

#[link(name = "kvmserverguest")]
extern "C" {
    fn kvmserverguest_remote_resume(buf: *mut c_void, len: isize) -> isize;
    fn kvmserverguest_storage_wait_paused(buf: *mut *mut c_void, ret: isize) -> isize;
}

fn name_of(buffer: &[u8]) -> String {
    let end = buffer.iter().position(|&c| c == 0).unwrap_or(buffer.len());
    String::from_utf8_lossy(&buffer[..end]).into_owned()
}

fn storage() {
    let (mut answer, mut count) = (0, 0);
    loop {
        let mut at = std::ptr::null_mut();
        let length = unsafe { kvmserverguest_storage_wait_paused(&mut at, answer) };
        if length < 0 {
            panic!("{}", std::io::Error::last_os_error());
        }
        let buffer = unsafe { std::slice::from_raw_parts_mut(at as *mut u8, length as usize) };
        count += 1;
        let text = format!("Hello {}, number {}\0", name_of(buffer), count);
        buffer[..text.len()].copy_from_slice(text.as_bytes());
        answer = text.len() as isize - 1;
    }
}

fn request(port: &str) {
    let listener = std::net::TcpListener::bind(format!("127.0.0.1:{}", port)).unwrap();
    let mut own = 0;
    for stream in listener.incoming() {
        let mut stream = stream.unwrap();
        let mut line = String::new();
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        reader.read_line(&mut line).unwrap();
        let mut rest = String::new();
        while reader.read_line(&mut rest).unwrap() > 2 {
            rest.clear();
        }
        let path = line.split(' ').nth(1).unwrap_or("/");
        let mut buffer = [0u8; 256];
        buffer[..path.len() - 1].copy_from_slice(&path.as_bytes()[1..]);
        unsafe { kvmserverguest_remote_resume(buffer.as_mut_ptr() as *mut c_void, 256) };
        own += 1;
        let body = format!("{} (own count {})\n", name_of(&buffer), own);
        let head = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length:";
        write!(stream, "{} {}\r\n\r\n{}", head, body.len(), body).unwrap();
    }
}

fn main() {
    let args: Vec<String> = std::env::args().collect();
    if args[1] == "storage" {
        storage();
    } else {
        request(&args[2]);
    }
}
