//! Prompts on stderr, answers from stdin, and no leftover copy of a password.

use std::fs::File;
use std::io::{self, IsTerminal, Read, Write, stdin};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};

use zeroize::Zeroizing;

/// Maximum length of an answer. The buffer has this capacity from the start, because reallocation leaves copies
/// behind.
const LONGEST: usize = 8 * 1024;

pub(crate) struct Terminal {
    /// The terminal's state before echo was turned off.
    before: Arc<Mutex<Option<String>>>,
}

impl Terminal {
    pub(crate) fn new() -> Self {
        let terminal = Self { before: Arc::default() };
        let before = Arc::clone(&terminal.before);
        // Otherwise the user's shell would be left without echo.
        tokio::spawn(async move {
            stop_signal().await;
            restore(&before);
            eprintln!();
            std::process::exit(130);
        });
        terminal
    }

    /// Prompts for a line.
    pub(crate) async fn ask(&self, question: &str) -> io::Result<Zeroizing<String>> {
        eprint!("{question}");
        io::stderr().flush()?;
        let answer = tokio::task::spawn_blocking(read_line).await.map_err(io::Error::other)??;
        if !stdin().is_terminal() {
            eprintln!();
        }
        Ok(answer)
    }

    /// Prompts for a line without echo, if stdin is a terminal.
    pub(crate) async fn ask_hidden(&self, question: &str) -> io::Result<Zeroizing<String>> {
        let is_hidden = stdin().is_terminal() && self.hide();
        let answer = self.ask(question).await;
        restore(&self.before);
        if is_hidden {
            eprintln!();
        }
        answer
    }

    /// Turns echo off. If that fails, the password is visible, which is better than no way to enter it.
    fn hide(&self) -> bool {
        let state = Command::new("stty").arg("-g").stdin(Stdio::inherit()).stderr(Stdio::null()).output();
        let Some(state) = state.ok().filter(|output| output.status.success()) else { return false };
        let Ok(state) = String::from_utf8(state.stdout) else { return false };
        *self.before.lock().unwrap_or_else(PoisonError::into_inner) = Some(state.trim().to_owned());
        stty("-echo").is_ok_and(|status| status.success())
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        restore(&self.before);
    }
}

fn restore(before: &Mutex<Option<String>>) {
    if let Some(state) = before.lock().unwrap_or_else(PoisonError::into_inner).take() {
        let _ = stty(&state);
    }
}

fn stty(argument: &str) -> io::Result<ExitStatus> {
    Command::new("stty").arg(argument).stderr(Stdio::null()).status()
}

/// Reads byte by byte instead of through the buffer of `Stdin`, which is never wiped.
fn read_line() -> io::Result<Zeroizing<String>> {
    let mut input = input()?;
    let mut line = Zeroizing::new(Vec::with_capacity(LONGEST));
    let mut byte = Zeroizing::new([0]);
    while line.len() < LONGEST {
        match input.read(&mut *byte) {
            Ok(0) if line.is_empty() => {
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "there was no answer: begin anew"));
            }
            Ok(0) => break,
            Ok(_) if byte[0] == b'\n' => break,
            Ok(_) => line.push(byte[0]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    let line = str::from_utf8(&line).map_err(|_| io::Error::other("the answer isn't UTF-8: begin anew"))?;
    Ok(Zeroizing::new(line.trim_end_matches('\r').to_owned()))
}

#[cfg(unix)]
fn input() -> io::Result<File> {
    use std::os::fd::AsFd as _;

    Ok(File::from(stdin().as_fd().try_clone_to_owned()?))
}

#[cfg(windows)]
fn input() -> io::Result<File> {
    use std::os::windows::io::AsHandle as _;

    Ok(File::from(stdin().as_handle().try_clone_to_owned()?))
}

/// Completes on Ctrl-C.
#[cfg(not(unix))]
async fn stop_signal() {
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending().await
    }
}

/// Completes on any signal that would end the program with echo still off.
#[cfg(unix)]
async fn stop_signal() {
    use tokio::signal::unix::{SignalKind, signal};

    let caught = |kind| signal(kind).ok();
    let (interrupt, terminate) = (caught(SignalKind::interrupt()), caught(SignalKind::terminate()));
    let (hang_up, quit) = (caught(SignalKind::hangup()), caught(SignalKind::quit()));
    let (Some(mut interrupt), Some(mut terminate), Some(mut hang_up), Some(mut quit)) =
        (interrupt, terminate, hang_up, quit)
    else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
        _ = hang_up.recv() => {}
        _ = quit.recv() => {}
    }
}
