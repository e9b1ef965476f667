(component
  (core module $m
    (memory 1)
    (func (export "run")
      (drop (memory.grow (i32.const 32767)))
      (drop (memory.grow (i32.const 32768)))))
  (core instance $i (instantiate $m))
  (func (export "run") (canon lift (core func $i "run"))))
