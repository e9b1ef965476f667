(component
  (import "wasi:io/poll@0.2.0" (instance $poll (export "pollable" (type (sub resource)))))
  (alias export $poll "pollable" (type $pollable))
  (import "wasi:clocks/monotonic-clock@0.2.0" (instance $clock
    (alias outer 1 $pollable (type $pollable'))
    (export "pollable" (type $p (eq $pollable')))
    (export "subscribe-duration" (func (param "when" u64) (result (own $p))))))
  (import "wasi:http/types@0.2.0" (instance $http
    (export "fields" (type $fields (sub resource)))
    (export "[constructor]fields" (func (result (own $fields))))))
  (core func $timer (canon lower (func $clock "subscribe-duration")))
  (core func $fields (canon lower (func $http "[constructor]fields")))
  (core module $m
    (import "" "timer" (func $timer (param i64) (result i32)))
    (import "" "fields" (func $fields (result i32)))
    (func (export "timers") (local $left i32)
      (local.set $left (i32.const 1000000))
      (loop $again
        (drop (call $timer (i64.const 0)))
        (br_if $again (local.tee $left (i32.sub (local.get $left) (i32.const 1))))))
    (func (export "fields") (local $left i32)
      (local.set $left (i32.const 1000000))
      (loop $again
        (drop (call $fields))
        (br_if $again (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))))
  (core instance $i (instantiate $m
    (with "" (instance (export "timer" (func $timer)) (export "fields" (func $fields))))))
  (func (export "timers") (canon lift (core func $i "timers")))
  (func (export "fields") (canon lift (core func $i "fields"))))
