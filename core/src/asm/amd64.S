/* The context switch for x86-64, System V ABI.
 * SPDX-License-Identifier: Apache-2.0 */
#if defined(__x86_64__)
  .text

/* void gosi_switch(void **save, void **load)
 * Saves what the ABI calls callee-saved on the current stack, publishes the stack
 * pointer in *save, and continues where *load was saved; *load becomes 0.
 * Once *save is written another thread may continue this context: the old stack is
 * not touched after that. Floating-point control is loaded only where it differs:
 * ldmxcsr and fldcw are slow. */
  .p2align 4
  .globl gosi_switch
  .hidden gosi_switch
  .type gosi_switch, @function
gosi_switch:
  .cfi_startproc
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  subq $8, %rsp
  stmxcsr (%rsp)
  fnstcw 4(%rsp)
  movl (%rsp), %ecx
  movzwl 4(%rsp), %edx
  movq (%rsi), %rax
  movq %rsp, (%rdi)
  movq %rax, %rsp
  movq $0, (%rsi)
  cmpl (%rsp), %ecx
  jne 2f
1:
  cmpw 4(%rsp), %dx
  jne 3f
  addq $8, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
2:
  ldmxcsr (%rsp)
  jmp 1b
3:
  fldcw 4(%rsp)
  addq $8, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
  .cfi_endproc
  .size gosi_switch, .-gosi_switch

/* First code of a fresh context: r12(r13). Debuggers and unwinders stop here. */
  .p2align 4
  .globl gosi_start
  .hidden gosi_start
  .type gosi_start, @function
gosi_start:
  .cfi_startproc
  .cfi_undefined rip
  xorl %ebp, %ebp
  movq %r13, %rdi
  callq *%r12
  ud2
  .cfi_endproc
  .size gosi_start, .-gosi_start
#endif
  .section .note.GNU-stack, "", @progbits
