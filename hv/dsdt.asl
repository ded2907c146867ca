/* SPDX-License-Identifier: BSD-2-Clause */
/* dsdt.asl: what a Linux guest cannot find by itself: PCI's windows, COM1, how to power off. */
DefinitionBlock ("", "DSDT", 2, "ISTHMS", "ISTHMUS", 1)
{
    Name (\_S5, Package () {5})

    Scope (\_SB)
    {
        Device (PCI0)
        {
            Name (_HID, EisaId ("PNP0A03"))
            Name (_UID, 0)
            Name (_CRS, ResourceTemplate ()
            {
                WordBusNumber (ResourceProducer, MinFixed, MaxFixed, PosDecode, 0, 0, 0, 0, 1)
                IO (Decode16, 0xCF8, 0xCF8, 1, 8)
                DWordMemory (ResourceProducer, PosDecode, MinFixed, MaxFixed, NonCacheable, ReadWrite,
                    0, 0xD0000000, 0xDFFFFFFF, 0, 0x10000000)
                QWordMemory (ResourceProducer, PosDecode, MinFixed, MaxFixed, Prefetchable, ReadWrite,
                    0, 0x4000000000, 0x7FFFFFFFFF, 0, 0x4000000000)
            })
        }

        Device (COM1)
        {
            Name (_HID, EisaId ("PNP0501"))
            Name (_UID, 1)
            Name (_CRS, ResourceTemplate ()
            {
                IO (Decode16, 0x3F8, 0x3F8, 1, 8)
                Interrupt (ResourceConsumer, Edge, ActiveHigh, Exclusive) {4}
            })
        }

        /* Sleep control and status, reset: nobody else's. */
        Device (PWR0)
        {
            Name (_HID, EisaId ("PNP0C02"))
            Name (_UID, 2)
            Name (_CRS, ResourceTemplate ()
            {
                IO (Decode16, 0x600, 0x600, 1, 3)
            })
        }
    }
}
