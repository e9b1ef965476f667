(component
  (core module $m
    (memory $memory 1)
    (table $open 1 funcref)
    (table $closed 1 2 funcref)
    (func (export "memory") (loop $again (drop (memory.grow (i32.const 1))) (br $again)))
    (func (export "table") (loop $again (drop (table.grow $open (ref.null func) (i32.const 1))) (br $again)))
    ;; Growth by nothing, and growth beyond the table's own type, never meet a limit on size.
    (func (export "nothing") (loop $again (drop (table.grow $open (ref.null func) (i32.const 0))) (br $again)))
    (func (export "refused") (loop $again (drop (table.grow $closed (ref.null func) (i32.const 2))) (br $again))))
  (core instance $i (instantiate $m))
  (func (export "memory") (canon lift (core func $i "memory")))
  (func (export "table") (canon lift (core func $i "table")))
  (func (export "nothing") (canon lift (core func $i "nothing")))
  (func (export "refused") (canon lift (core func $i "refused"))))
