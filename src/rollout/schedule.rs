//! Which rows are computed at each step and which pages of the cache they hold: continuous batching.
//!
//! Rows open in the order of prompt and sample, as many as a step takes; a row that ends makes place for
//! the next. A row takes a page when it grows over the end of the last one. Free pages are kept for all
//! that the oldest row may still need, and other rows wait where they would touch them: as no row needs
//! more than another, the pages of the oldest are enough for the next oldest when it ends. So there is no
//! deadlock and nothing is computed twice.

#[cfg(test)]
mod tests;

use crate::kernel::{PAGE, Paged};

/// What there is room for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Room {
    /// Pages of the cache; enough for the longest prompt and one row.
    pub(super) pages: usize,
    /// Rows of a step.
    pub(super) rows: usize,
    /// Pages of a row of the longest completion.
    pub(super) of_row: usize,
}

/// The rows of one step.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Step {
    /// Rows whose newest token is to be computed.
    pub(super) advancing: Vec<usize>,
    /// Rows that open: their first token follows from their prompt.
    pub(super) opened: Vec<usize>,
    /// Groups whose prompts are to be computed, for those rows.
    pub(super) prompts: Vec<usize>,
}

/// Rows open and waiting, and pages taken and free.
#[derive(Debug)]
pub(super) struct Schedule {
    room: Room,
    free: Vec<u32>,
    groups: Vec<Group>,
    /// All rows, numbered in the order in which they open.
    rows: Vec<Row>,
    /// Those that are open, the oldest first.
    open: Vec<usize>,
    /// The first that is yet to open.
    next: usize,
    ended: Ended,
}

#[derive(Debug)]
struct Group {
    tokens: usize,
    /// None before its first row opens and after its last one ended.
    pages: Vec<u32>,
    rows_to_end: usize,
}

#[derive(Debug)]
struct Row {
    group: usize,
    pages: Vec<u32>,
    /// Tokens whose keys and values are in the cache.
    tokens: usize,
}

/// Rows that ended and the pages that they had.
#[derive(Debug, Default)]
struct Ended {
    rows: usize,
    pages: usize,
}

impl Schedule {
    /// Nothing open yet; `groups` are the tokens of each prompt and how many rows it has.
    pub(super) fn new(room: Room, groups: impl Iterator<Item = (usize, usize)>) -> Self {
        let groups: Vec<Group> = groups
            .map(|(tokens, rows)| Group { tokens, pages: Vec::new(), rows_to_end: rows })
            .collect();
        let rows = groups.iter().enumerate().flat_map(|(group, of)| {
            (0..of.rows_to_end).map(move |_| Row { group, pages: Vec::new(), tokens: 0 })
        });
        Self {
            room,
            free: (0..room.pages as u32).rev().collect(),
            rows: rows.collect(),
            groups,
            open: Vec::new(),
            next: 0,
            ended: Ended::default(),
        }
    }

    /// Where the prompt of a group is; its rows are open.
    pub(super) fn prompt(&self, group: usize) -> Paged<'_> {
        Paged { pages: &self.groups[group].pages, tokens: self.groups[group].tokens }
    }

    /// Where the keys of an open row are: its prompt's, then its own.
    pub(super) fn keys(&self, row: usize) -> [Paged<'_>; 2] {
        let Row { group, pages, tokens } = &self.rows[row];
        [self.prompt(*group), Paged { pages, tokens: *tokens }]
    }

    /// How many rows have opened so far.
    pub(super) fn opened(&self) -> usize {
        self.next
    }

    /// The next step, which has rows unless all have ended. An advancing row has a slot for its token.
    pub(super) fn step(&mut self) -> Step {
        let mut step = Step { advancing: self.advance(), ..Step::default() };
        while self.may_open() {
            let (row, group) = (self.next, self.rows[self.next].group);
            if self.groups[group].pages.is_empty() {
                self.groups[group].pages = self.take(self.pages_of_prompt(group));
                step.prompts.push(group);
            }
            self.rows[row].pages = self.take(1);
            self.open.push(row);
            step.opened.push(row);
            self.next += 1;
        }
        step
    }

    /// Gives every open row a slot for one more token, but for those that wait for a page.
    fn advance(&mut self) -> Vec<usize> {
        let mut advancing = Vec::with_capacity(self.open.len());
        for place in 0..self.open.len() {
            let row = self.open[place];
            if self.go_on(&[row]) {
                advancing.push(row);
            }
        }
        advancing
    }

    /// Gives each of some open rows, the oldest first, a slot for one more token, or none of them where free
    /// pages are wanted for the oldest of all.
    pub(super) fn go_on(&mut self, rows: &[usize]) -> bool {
        let is_full = |row: &&usize| self.rows[**row].tokens == self.rows[**row].pages.len() * PAGE;
        let oldest = self.open.first();
        let others = rows.iter().filter(is_full).filter(|row| Some(*row) != oldest).count();
        if self.free.len() < self.reserved() + others {
            return false;
        }
        for row in rows {
            self.grow(*row);
        }
        true
    }

    /// Gives a row a slot for one more token.
    fn grow(&mut self, row: usize) {
        if self.rows[row].tokens == self.rows[row].pages.len() * PAGE {
            let page = self.take(1);
            self.rows[row].pages.extend(page);
        }
        self.rows[row].tokens += 1;
    }

    /// Takes back the pages of a row that ended, and of its group with the last one.
    pub(super) fn close(&mut self, row: usize) {
        self.open.retain(|open| *open != row);
        let pages = std::mem::take(&mut self.rows[row].pages);
        self.ended.rows += 1;
        self.ended.pages += pages.len();
        self.free.extend(pages);
        let group = &mut self.groups[self.rows[row].group];
        group.rows_to_end -= 1;
        if group.rows_to_end == 0 {
            self.free.append(&mut group.pages);
        }
    }

    /// Whether there is a next row and room for it: for what it takes at once, beside what the oldest
    /// row may need, and for as many pages as all open rows will likely take.
    fn may_open(&self) -> bool {
        let Some(row) = self.rows.get(self.next) else { return false };
        if self.open.is_empty() {
            return true;
        }
        let prompt = match self.groups[row.group].pages.is_empty() {
            true => self.pages_of_prompt(row.group),
            false => 0,
        };
        let left = self.free.len().checked_sub(prompt + 1);
        self.open.len() < self.room.rows
            && left.is_some_and(|left| left >= self.reserved() && self.lasts(left))
    }

    /// Whether so many free pages last until the open rows and one more have ended, should each become
    /// as long as is likely: the pages of those that end are for those that go on.
    fn lasts(&self, mut free: usize) -> bool {
        // By the number of pages to come: how many rows, and the pages that they hold.
        let mut ending = vec![(0, 0); self.room.of_row + 1];
        let likely = self.likely_pages();
        let open = self.open.iter().map(|row| self.rows[*row].pages.len());
        for held in open.chain([1]) {
            let in_all = if held > likely { self.room.of_row } else { likely };
            let (rows, pages) = &mut ending[in_all - held];
            (*rows, *pages) = (*rows + 1, *pages + held);
        }
        let mut going_on = self.open.len() + 1;
        ending.into_iter().enumerate().all(|(to_come, (rows, held))| {
            going_on -= rows;
            // Where in its page a row is makes one page.
            let is_enough = rows == 0 || rows * to_come + going_on * (to_come + 1) <= free;
            free += held;
            is_enough
        })
    }

    /// Pages that a row hardly ever exceeds: twice the mean of those that ended, as far as that is known.
    fn likely_pages(&self) -> usize {
        match self.ended.rows {
            0 => self.room.of_row,
            rows => (2 * self.ended.pages).div_ceil(rows).min(self.room.of_row),
        }
    }

    /// Pages that the oldest row may still need.
    fn reserved(&self) -> usize {
        self.open.first().map_or(0, |row| self.room.of_row - self.rows[*row].pages.len())
    }

    fn pages_of_prompt(&self, group: usize) -> usize {
        self.groups[group].tokens.div_ceil(PAGE)
    }

    fn take(&mut self, pages: usize) -> Vec<u32> {
        assert!(pages <= self.free.len(), "{pages} pages of {} that are free", self.free.len());
        self.free.drain(self.free.len() - pages..).rev().collect()
    }
}
