(component
  (core module $m
    (memory (export "memory") 1)
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 0))
    (func (export "run") (param i32 i32) (loop $again (br $again)))
    (func (export "benign")))
  (core instance $i (instantiate $m))
  (func (export "run") (param "n" string)
    (canon lift (core func $i "run") (memory (core memory $i "memory")) (realloc (core func $i "realloc"))))
  (func (export "benign") (canon lift (core func $i "benign"))))
