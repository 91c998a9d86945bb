//! A web server for tests: it answers a posted body as a function says.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use serde_json::Value;

/// What was posted.
#[derive(Debug, Clone)]
pub(super) struct Posted {
    pub(super) head: String,
    pub(super) body: Value,
}

/// A status and a body; a status of 0 hangs up, and 1 is silent for ever.
pub(super) type Answer = (u16, String);

/// The server, until it is dropped.
pub(super) struct Server {
    pub(super) address: String,
    posted: Arc<Mutex<Vec<Posted>>>,
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    pub(super) fn new(answer: impl Fn(&Posted) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let (posted, is_over, answer) =
            (Arc::default(), Arc::new(AtomicBool::new(false)), Arc::new(answer));
        let (log, over): (Arc<Mutex<Vec<Posted>>>, _) = (Arc::clone(&posted), Arc::clone(&is_over));
        let thread = thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if over.load(Ordering::SeqCst) {
                    return;
                }
                let (log, answer) = (Arc::clone(&log), Arc::clone(&answer));
                thread::spawn(move || serve(stream, &log, &*answer));
            }
        });
        Self { address, posted, is_over, thread: Some(thread) }
    }

    /// What was posted since the last time.
    pub(super) fn posted(&self) -> Vec<Posted> {
        std::mem::take(&mut self.posted.lock().unwrap())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::SeqCst);
        drop(TcpStream::connect(self.address.trim_start_matches("http://")));
        self.thread.take().map(JoinHandle::join);
    }
}

fn serve(
    mut stream: TcpStream,
    log: &Mutex<Vec<Posted>>,
    answer: &(impl Fn(&Posted) -> Answer + ?Sized),
) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let (mut head, mut line) = (String::new(), String::new());
    while reader.read_line(&mut line)? > 2 {
        head += &line.to_ascii_lowercase();
        line.clear();
    }
    let length =
        head.lines().find_map(|line| line.strip_prefix("content-length: ")?.trim().parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    reader.read_exact(&mut body)?;
    let posted = Posted { head, body: serde_json::from_slice(&body).unwrap_or_default() };
    log.lock().unwrap().push(posted.clone());
    match answer(&posted) {
        (0, _) => Ok(()),
        (1, _) => reader.read_to_end(&mut Vec::new()).map(|_| ()),
        (status, body) => {
            let length = body.len();
            let head = format!(
                "HTTP/1.1 {status} Test\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
            );
            stream.write_all(head.as_bytes())?;
            stream.write_all(body.as_bytes())
        }
    }
}
