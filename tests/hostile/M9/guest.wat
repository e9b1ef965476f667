(component
  (import "wasi:http/types@0.2.0" (instance $http
    (export "fields" (type $fields (sub resource)))
    (type $error' (variant (case "invalid-syntax") (case "forbidden") (case "immutable")))
    (export "header-error" (type $error (eq $error')))
    (export "[static]fields.from-list" (func
      (param "entries" (list (tuple string (list u8))))
      (result (result (own $fields) (error $error)))))))
  (core module $memory (memory (export "memory") 16))
  (core instance $memory (instantiate $memory))
  (core func $from-list (canon lower (func $http "[static]fields.from-list") (memory (core memory $memory "memory"))))
  (core module $m
    (import "" "memory" (memory 16))
    (import "" "from-list" (func $from-list (param i32 i32 i32)))
    (data (i32.const 0x80) "x-same")
    (func (export "run") (local $entry i32)
      (memory.fill (i32.const 0x10000) (i32.const 65) (i32.const 100000))
      (loop $again
        (i32.store (i32.add (i32.const 0x80000) (i32.mul (local.get $entry) (i32.const 16))) (i32.const 0x80))
        (i32.store (i32.add (i32.const 0x80004) (i32.mul (local.get $entry) (i32.const 16))) (i32.const 6))
        (i32.store (i32.add (i32.const 0x80008) (i32.mul (local.get $entry) (i32.const 16))) (i32.const 0x10000))
        (i32.store (i32.add (i32.const 0x8000c) (i32.mul (local.get $entry) (i32.const 16))) (i32.const 100000))
        (br_if $again (i32.lt_u (local.tee $entry (i32.add (local.get $entry) (i32.const 1))) (i32.const 1000))))
      (call $from-list (i32.const 0x80000) (i32.const 1000) (i32.const 0))))
  (core instance $i (instantiate $m (with "" (instance
    (export "memory" (memory $memory "memory"))
    (export "from-list" (func $from-list))))))
  (func (export "run") (canon lift (core func $i "run"))))
