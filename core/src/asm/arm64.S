/* The context switch for AArch64, AAPCS64.
 * SPDX-License-Identifier: Apache-2.0 */
#if defined(__aarch64__)
  .text

/* void gosi_switch(void **save, void **load): see amd64.S. The store-release publishes
 * the saved registers with the stack pointer. */
  .p2align 4
  .globl gosi_switch
  .hidden gosi_switch
  .type gosi_switch, %function
gosi_switch:
  .cfi_startproc
  sub sp, sp, #176
  stp x19, x20, [sp, #0]
  stp x21, x22, [sp, #16]
  stp x23, x24, [sp, #32]
  stp x25, x26, [sp, #48]
  stp x27, x28, [sp, #64]
  stp x29, x30, [sp, #80]
  stp d8, d9, [sp, #96]
  stp d10, d11, [sp, #112]
  stp d12, d13, [sp, #128]
  stp d14, d15, [sp, #144]
  mrs x9, fpcr
  str x9, [sp, #160]
  ldr x10, [x1]
  mov x11, sp
  stlr x11, [x0]
  mov sp, x10
  str xzr, [x1]
  ldr x11, [sp, #160]
  cmp x9, x11
  b.ne 2f
1:
  ldp x19, x20, [sp, #0]
  ldp x21, x22, [sp, #16]
  ldp x23, x24, [sp, #32]
  ldp x25, x26, [sp, #48]
  ldp x27, x28, [sp, #64]
  ldp x29, x30, [sp, #80]
  ldp d8, d9, [sp, #96]
  ldp d10, d11, [sp, #112]
  ldp d12, d13, [sp, #128]
  ldp d14, d15, [sp, #144]
  add sp, sp, #176
  ret
2:
  msr fpcr, x11
  b 1b
  .cfi_endproc
  .size gosi_switch, .-gosi_switch

/* First code of a fresh context: x19(x20). */
  .p2align 4
  .globl gosi_start
  .hidden gosi_start
  .type gosi_start, %function
gosi_start:
  .cfi_startproc
  .cfi_undefined x30
  mov x29, xzr
  mov x30, xzr
  mov x0, x20
  blr x19
  brk #1
  .cfi_endproc
  .size gosi_start, .-gosi_start
#endif
  .section .note.GNU-stack, "", %progbits
