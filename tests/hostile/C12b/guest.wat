(component
  (import "wasi:io/poll@0.2.0" (instance $poll
    (export "pollable" (type $pollable (sub resource)))
    (export "poll" (func (param "in" (list (borrow $pollable))) (result (list u32))))))
  (alias export $poll "pollable" (type $pollable))
  (import "wasi:clocks/monotonic-clock@0.2.0" (instance $clock
    (alias outer 1 $pollable (type $pollable'))
    (export "pollable" (type $p (eq $pollable')))
    (export "subscribe-duration" (func (param "when" u64) (result (own $p))))))
  ;; The list of handles is at 64 KiB, what the host answers at 8 MiB.
  (core module $memory
    (memory (export "memory") 300)
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 0x800000)))
  (core instance $memory (instantiate $memory))
  (core func $subscribe (canon lower (func $clock "subscribe-duration")))
  (core func $poll (canon lower (func $poll "poll")
    (memory (core memory $memory "memory")) (realloc (core func $memory "realloc"))))
  (core module $m
    (import "" "memory" (memory 300))
    (import "" "subscribe" (func $subscribe (param i64) (result i32)))
    (import "" "poll" (func $poll (param i32 i32 i32)))
    (func (export "run") (local $handle i32) (local $made i32)
      (local.set $handle (call $subscribe (i64.const 0)))
      (loop $again
        (i32.store (i32.add (i32.const 0x10000) (i32.mul (local.get $made) (i32.const 4))) (local.get $handle))
        (br_if $again (i32.lt_u (local.tee $made (i32.add (local.get $made) (i32.const 1))) (i32.const 1000000))))
      (call $poll (i32.const 0x10000) (local.get $made) (i32.const 0))))
  (core instance $i (instantiate $m (with "" (instance
    (export "memory" (memory $memory "memory"))
    (export "subscribe" (func $subscribe))
    (export "poll" (func $poll))))))
  (func (export "run") (canon lift (core func $i "run"))))
