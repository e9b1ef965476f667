//! An Aho-Corasick automaton over all forms of all secrets: one look at each byte, however many there are, so that a server
//! which knows a secret cannot make its search slow. Our own and not a library's, because this one forgets: the bytes are
//! wiped when it is dropped.

use std::collections::VecDeque;

use zeroize::Zeroize;

use super::forms::Form;

/// No node.
const NONE: u32 = u32::MAX;
/// The state in which nothing has been seen of any form.
pub(super) const ROOT: u32 = 0;

/// The automaton.
pub(super) struct Trie {
    nodes: Vec<Node>,
    /// The first step of each form, by its byte.
    first: [u32; 256],
    longest: usize,
}

struct Node {
    byte: u8,
    depth: u32,
    child: u32,
    sibling: u32,
    /// The state that goes on with the longest other beginning of a form that ends here.
    fail: u32,
    /// The longest form that ends here; of length 0 if none does.
    found: Found,
}

/// A form that was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Found {
    pub(super) length: u32,
    /// See [`Form::before`].
    pub(super) before: u8,
    /// See [`Form::after`].
    pub(super) after: u8,
}

impl Trie {
    pub(super) fn new(forms: &[Form]) -> Self {
        // Room for all of it at once: what a growing vector leaves behind would not be wiped.
        let room = 1 + forms.iter().map(|form| form.bytes.len()).sum::<usize>();
        let longest = forms.iter().map(|form| form.bytes.len()).max().unwrap_or(0);
        let mut trie = Self { nodes: Vec::with_capacity(room), first: [NONE; 256], longest };
        trie.nodes.push(Node::new(0, 0));
        forms.iter().for_each(|form| trie.insert(form));
        trie.link();
        trie
    }

    /// The length of the longest form.
    pub(super) fn longest(&self) -> usize {
        self.longest
    }

    /// Whether a form begins with this byte.
    pub(super) fn begins(&self, byte: u8) -> bool {
        self.first[usize::from(byte)] != NONE
    }

    /// The state after one more byte.
    pub(super) fn step(&self, mut state: u32, byte: u8) -> u32 {
        loop {
            match self.child(state, byte) {
                NONE if state == ROOT => return ROOT,
                NONE => state = self.node(state).fail,
                child => return child,
            }
        }
    }

    /// How many bytes back the beginning of a form reaches that may go on.
    pub(super) fn depth(&self, state: u32) -> usize {
        self.node(state).depth as usize
    }

    /// What ends in this state.
    pub(super) fn found(&self, state: u32) -> Found {
        self.node(state).found
    }

    fn node(&self, state: u32) -> &Node {
        &self.nodes[state as usize]
    }

    fn child(&self, state: u32, byte: u8) -> u32 {
        if state == ROOT {
            return self.first[usize::from(byte)];
        }
        let mut child = self.node(state).child;
        while child != NONE && self.node(child).byte != byte {
            child = self.node(child).sibling;
        }
        child
    }

    fn insert(&mut self, form: &Form) {
        let mut state = ROOT;
        for byte in form.bytes.iter() {
            state = match self.child(state, *byte) {
                NONE => self.grow(state, *byte),
                child => child,
            };
        }
        let found = &mut self.nodes[state as usize].found;
        found.length = u32::try_from(form.bytes.len()).unwrap_or(u32::MAX);
        found.before = found.before.max(form.before);
        found.after = found.after.max(form.after);
    }

    fn grow(&mut self, state: u32, byte: u8) -> u32 {
        let new = u32::try_from(self.nodes.len()).unwrap_or(NONE);
        let mut node = Node::new(byte, self.node(state).depth + 1);
        if state == ROOT {
            self.first[usize::from(byte)] = new;
        } else {
            node.sibling = self.node(state).child;
            self.nodes[state as usize].child = new;
        }
        self.nodes.push(node);
        new
    }

    /// Sets where each state goes on where its own form does not, and what ends there: breadth first, since a state goes on
    /// with shorter ones.
    fn link(&mut self) {
        let mut queue: VecDeque<u32> = self.first.iter().copied().filter(|child| *child != NONE).collect();
        while let Some(state) = queue.pop_front() {
            let mut child = self.node(state).child;
            while child != NONE {
                let fail = self.step(self.node(state).fail, self.node(child).byte);
                let inner = self.found(fail);
                let node = &mut self.nodes[child as usize];
                node.fail = fail;
                node.found = match node.found.length {
                    0 => inner,
                    _ => Found { after: node.found.after.max(inner.after), ..node.found },
                };
                queue.push_back(child);
                child = node.sibling;
            }
        }
    }
}

impl Node {
    fn new(byte: u8, depth: u32) -> Self {
        Self { byte, depth, child: NONE, sibling: NONE, fail: ROOT, found: Found::default() }
    }
}

impl Drop for Trie {
    fn drop(&mut self) {
        self.first.zeroize();
        self.nodes.iter_mut().for_each(|node| node.byte.zeroize());
    }
}
