//! Numbers of the host functions whose answers are recorded. Stored in journals: never renumber, only add.

macro_rules! operations {
    ($($(#[$doc:meta])* $name:ident $(= $number:literal)?,)*) => {
        /// A host function that a guest can call and whose answer a replay must give back.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[repr(u16)]
        pub(crate) enum Operation {
            $($(#[$doc])* $name $(= $number)?,)*
        }

        impl Operation {
            const ALL: &[Self] = &[$(Self::$name),*];
        }
    };
}

operations! {
    // wasi:io
    Poll = 100,
    PollableBlock,
    PollableReady,
    ErrorText,
    StreamRead = 110,
    StreamBlockingRead,
    StreamSkip,
    StreamBlockingSkip,
    StreamCheckWrite = 120,
    StreamWrite,
    StreamBlockingWrite,
    StreamBlockingWriteZeroes,
    StreamWriteZeroes,
    StreamFlush,
    StreamBlockingFlush,
    StreamSplice,
    StreamBlockingSplice,
    // wasi:filesystem
    GetDirectories = 200,
    OpenAt,
    ReadViaStream,
    WriteViaStream,
    AppendViaStream,
    Advise,
    SyncData,
    GetFlags,
    GetType,
    SetSize,
    SetTimes,
    FileRead,
    FileWrite,
    ReadDirectory,
    ReadDirectoryEntry,
    Sync,
    CreateDirectoryAt,
    Stat,
    StatAt,
    SetTimesAt,
    LinkAt,
    ReadlinkAt,
    RemoveDirectoryAt,
    RenameAt,
    SymlinkAt,
    UnlinkFileAt,
    IsSameObject,
    MetadataHash,
    MetadataHashAt,
    FilesystemErrorCode,
    // wasi:clocks
    WallClockNow = 300,
    MonotonicNow,
    SubscribeInstant,
    SubscribeDuration,
    // wasi:cli
    GetEnvironment = 400,
    InitialCwd,
    // wasi:http
    SendRequest = 500,
    ResponseGet,
    TrailersGet,
    HttpErrorCode,
    // wasi:sockets
    CreateSocket = 600,
    ResolveAddresses,
    // wasi:keyvalue
    KvOpen = 700,
    KvGet,
    KvSet,
    KvDelete,
    KvExists,
    KvListKeys,
    KvIncrement,
    KvGetMany,
    KvSetMany,
    KvDeleteMany,
}

impl Operation {
    /// The host function of this number; `None` for one that only a later host has.
    pub(crate) fn of_number(number: u16) -> Option<Self> {
        Self::ALL.iter().copied().find(|known| *known as u16 == number)
    }
}
