# What `cmake --install` lays down: the program, the library and its headers, the jobs with their configurations, and what other builds find
# it by (find_package(tweedie), pkg-config tweedie).
include(CMakePackageConfigHelpers)

set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/tweedie)
install(TARGETS tweedie EXPORT tweedieTargets ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
if(TARGET tweedie_program)
    file(RELATIVE_PATH from_program ${CMAKE_INSTALL_FULL_BINDIR} ${CMAKE_INSTALL_FULL_LIBDIR})
    set_target_properties(tweedie_program PROPERTIES INSTALL_RPATH "$ORIGIN/${from_program}" INSTALL_RPATH_USE_LINK_PATH ON)
    install(TARGETS tweedie_program RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
endif()
install(DIRECTORY ${PROJECT_SOURCE_DIR}/include/tweedie DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} FILES_MATCHING PATTERN "*.h")
install(DIRECTORY ${PROJECT_SOURCE_DIR}/jobs DESTINATION ${CMAKE_INSTALL_DATADIR}/tweedie OPTIONAL USE_SOURCE_PERMISSIONS)
install(FILES ${PROJECT_SOURCE_DIR}/datasets/mnist.h5 DESTINATION ${CMAKE_INSTALL_DATADIR}/tweedie/datasets)
install(PROGRAMS ${PROJECT_SOURCE_DIR}/scripts/minicluster DESTINATION ${CMAKE_INSTALL_DATADIR}/tweedie/scripts)
install(FILES ${PROJECT_SOURCE_DIR}/LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR})

install(EXPORT tweedieTargets NAMESPACE tweedie:: DESTINATION ${package_dir})
get_property(libraries GLOBAL PROPERTY TWEEDIE_LIBRARIES)
list(REMOVE_DUPLICATES libraries)
configure_package_config_file(${CMAKE_CURRENT_LIST_DIR}/tweedieConfig.cmake.in ${PROJECT_BINARY_DIR}/generated/tweedieConfig.cmake
                              INSTALL_DESTINATION ${package_dir})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/generated/tweedieConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/generated/tweedieConfig.cmake ${PROJECT_BINARY_DIR}/generated/tweedieConfigVersion.cmake
              ${CMAKE_CURRENT_LIST_DIR}/Dependencies.cmake DESTINATION ${package_dir})

# pkg-config knows no targets, so it gets the files that the targets stand for; only a static library asks its users for them.
set(pc_libraries "")
get_target_property(optional_libraries tweedie_webp INTERFACE_LINK_LIBRARIES)
get_target_property(tiff_library tweedie_tiff INTERFACE_LINK_LIBRARIES)
list(APPEND optional_libraries ${tiff_library})
list(FILTER optional_libraries EXCLUDE REGEX "-NOTFOUND$")
foreach(library ${HDF5_C_HL_LIBRARIES} ${HDF5_C_LIBRARIES} ${MPI_C_LIBRARIES} ${OpenMP_C_LIBRARIES} dnnl inih xxhash png jpeg
        ${optional_libraries} z pthread m)
    if(library MATCHES "^(/|-)")
        list(APPEND pc_libraries ${library})
    else()
        list(APPEND pc_libraries -l${library})
    endif()
endforeach()
list(REMOVE_DUPLICATES pc_libraries)
list(JOIN pc_libraries " " pc_libraries)
get_target_property(type tweedie TYPE)
if(type STREQUAL "STATIC_LIBRARY")
    set(TWEEDIE_PC_LINK " ${pc_libraries}")
    set(TWEEDIE_PC_PRIVATE "")
else()
    set(TWEEDIE_PC_LINK "")
    set(TWEEDIE_PC_PRIVATE "${pc_libraries}")
endif()
file(RELATIVE_PATH TWEEDIE_PC_PREFIX ${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig ${CMAKE_INSTALL_PREFIX}) # a package may be moved
configure_file(${CMAKE_CURRENT_LIST_DIR}/tweedie.pc.in ${PROJECT_BINARY_DIR}/generated/tweedie.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/generated/tweedie.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)

# A module file in Tcl, which both Lmod and Environment Modules read: `module use PREFIX/etc/modulefiles`.
foreach(what BINDIR LIBDIR INCLUDEDIR DATADIR)
    file(RELATIVE_PATH MODULE_${what} ${CMAKE_INSTALL_PREFIX} ${CMAKE_INSTALL_FULL_${what}})
endforeach()
configure_file(${PROJECT_SOURCE_DIR}/scripts/modulefile.in ${PROJECT_BINARY_DIR}/generated/modulefile @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/generated/modulefile DESTINATION etc/modulefiles/tweedie RENAME ${PROJECT_VERSION})
