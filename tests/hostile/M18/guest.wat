(component
  (core module $m
    (memory 1)
    (table $table 1 funcref)
    (elem declare func $scan)
    ;; Words that are not zero, in all the memory that it may have here, and elements that are not null.
    (func $scan (export "scan") (result i32) (local $at i32) (local $found i32)
      (drop (memory.grow (i32.const 1023)))
      (drop (table.grow $table (ref.null func) (i32.const 10000)))
      (loop $again
        (local.set $found (i32.add (local.get $found) (i32.ne (i32.load (local.get $at)) (i32.const 0))))
        (br_if $again (i32.lt_u (local.tee $at (i32.add (local.get $at) (i32.const 4))) (i32.const 0x4000000))))
      (local.set $at (i32.const 0))
      (loop $again
        (local.set $found (i32.add (local.get $found) (i32.eqz (ref.is_null (table.get $table (local.get $at))))))
        (br_if $again (i32.lt_u (local.tee $at (i32.add (local.get $at) (i32.const 1))) (i32.const 10000))))
      (local.get $found))
    (func (export "write") (result i32)
      (drop (memory.grow (i32.const 1023)))
      (memory.fill (i32.const 0) (i32.const 0xa5) (i32.const 0x4000000))
      (drop (table.grow $table (ref.func $scan) (i32.const 10000)))
      (i32.const 0x1000000)))
  (core instance $i (instantiate $m))
  (func (export "write") (result u32) (canon lift (core func $i "write")))
  (func (export "scan") (result u32) (canon lift (core func $i "scan"))))
