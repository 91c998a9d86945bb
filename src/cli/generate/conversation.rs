//! A conversation: lines of standard input, each with the reply to all that was said before it.

use std::io::{self, BufRead, IsTerminal, Read};

use anyhow::{Context, ensure};

use super::GenerateArgs;
use super::writer::{Bounds, End, Writer};
use crate::cli::output;
use crate::data::Message;
use crate::kernel::Kernels;
use crate::rollout::FinishReason;

/// Bytes of the longest line; a file without line breaks shall not take all memory.
const LONGEST_LINE: u64 = 1 << 20;

const CONVERSATION: Bounds = Bounds {
    keys: ["the length of the conversation", "--max-tokens"],
    otherwise: "shorten the conversation or lower --max-tokens",
};

/// What was said so far, and who answers.
pub(super) struct Conversation<'a, B: Kernels> {
    writer: Writer<'a, B>,
    args: &'a GenerateArgs,
    messages: Vec<Message>,
}

impl<'a, B: Kernels> Conversation<'a, B> {
    pub(super) fn new(writer: Writer<'a, B>, args: &'a GenerateArgs) -> Self {
        Self { writer, args, messages: args.opening() }
    }

    /// Answers each line until there is none.
    pub(super) fn hold(mut self) -> anyhow::Result<()> {
        if io::stdin().is_terminal() {
            output::note("/reset begins anew, /exit ends, Ctrl-C stops a reply");
        }
        while let Some(line) = next_line()? {
            match line.trim() {
                "" => {}
                "/exit" => break,
                "/reset" => self.messages = self.args.opening(),
                _ if self.answer(&line)? => {}
                _ => break,
            }
        }
        Ok(())
    }

    /// Prints the reply to one more message and keeps both, or neither where there can be no reply; whether
    /// there is a reader for more.
    fn answer(&mut self, line: &str) -> anyhow::Result<bool> {
        self.messages.push(Message::new("user", line));
        let ids = match self.ids() {
            Ok(ids) => ids,
            Err(error) => {
                self.messages.pop();
                output::note(&format!("{error}; that message is left out of the conversation"));
                return Ok(true);
            }
        };
        let turn = self.messages.iter().filter(|message| message.role == "assistant").count();
        let reply = self.writer.stream(ids, turn as u64)?;
        self.messages.push(Message::new("assistant", reply.text));
        self.note_cut(reply.end);
        Ok(reply.end != End::Unread)
    }

    /// The conversation as tokens that leave room for a reply.
    fn ids(&self) -> anyhow::Result<Vec<u32>> {
        let ids = self.writer.chat_ids(&self.messages)?;
        ensure!(!ids.is_empty(), "the chat template makes no text of the conversation");
        let fits = self.writer.check_length(ids.len(), &CONVERSATION);
        // Not as a context, which would be printed in place of its cause.
        let with_advice =
            |error| anyhow::anyhow!("{error}, or begin the conversation anew by /reset");
        fits.map_err(with_advice)?;
        Ok(ids)
    }

    fn note_cut(&self, end: End) {
        if end == End::Finished(FinishReason::Length) {
            let most = self.args.max_tokens;
            output::note(&format!(
                "the reply was cut off at {most} tokens; --max-tokens allows more"
            ));
        }
    }
}

/// The next line of standard input; none where it ends.
fn next_line() -> anyhow::Result<Option<String>> {
    loop {
        let Some(line) = next_bytes()? else { return Ok(None) };
        match String::from_utf8(line) {
            Ok(line) => return Ok(Some(line.trim_end_matches(['\r', '\n']).to_owned())),
            Err(_) => output::note("the line is not UTF-8 and is left out"),
        }
    }
}

fn next_bytes() -> anyhow::Result<Option<Vec<u8>>> {
    let (stdin, mut line) = (io::stdin().lock(), Vec::new());
    let is_terminal = stdin.is_terminal();
    if is_terminal {
        output::prompt_sign();
    }
    let read = stdin.take(LONGEST_LINE + 1).read_until(b'\n', &mut line);
    let read = read.context("cannot read standard input")?;
    ensure!(
        read as u64 <= LONGEST_LINE,
        "a line of standard input has more than {LONGEST_LINE} bytes; shorten it or break it into several"
    );
    if read == 0 && is_terminal {
        output::say("");
    }
    Ok((read > 0).then_some(line))
}
