(component
  (core module $m
    (table $one 1 funcref)
    (table $two 1 funcref)
    (func (export "run") (drop (table.grow $one (ref.null func) (i32.const 0x80000000))))
    ;; Each is within the limit, both together are not.
    (func (export "two")
      (drop (table.grow $one (ref.null func) (i32.const 15000)))
      (drop (table.grow $two (ref.null func) (i32.const 15000)))))
  (core instance $i (instantiate $m))
  (func (export "run") (canon lift (core func $i "run")))
  (func (export "two") (canon lift (core func $i "two"))))
